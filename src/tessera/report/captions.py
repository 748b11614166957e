"""Captions: paragraphs of reStructuredText that Snakemake's report and the index page both show.

Of its markup they hold ``literals`` alone, so that nothing in them can read a file or bring in
HTML; a test holds them to that.
"""

import html
import re
from pathlib import Path

from tessera.errors import UserError

_LITERAL = re.compile(r"``(.+?)``")


def read_caption(folder: Path, stem: str) -> str:
    """The text of a caption.

    Args:
        folder: where the captions lie.
        stem: of the file: "table_stability".

    Raises:
        UserError: it is not there.
    """
    file = folder / f"{stem}.rst"
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{file} does not exist: write a caption there, a few sentences") from error


def paragraphs(caption: str) -> list[str]:
    """The paragraphs of a caption as HTML, without their tags."""
    return [_LITERAL.sub(r"<code>\1</code>", html.escape(text)) for text in _texts(caption)]


def plain(caption: str) -> str:
    """A caption as one line of text."""
    return _LITERAL.sub(r"\1", " ".join(_texts(caption)))


def _texts(caption: str) -> list[str]:
    return [" ".join(block.split()) for block in re.split(r"\n\s*\n", caption.strip())]
