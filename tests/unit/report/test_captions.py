"""Every table, figure and picture has a caption that both reports can show."""

import html
import re
from pathlib import Path

import pytest
from docutils import nodes
from docutils.core import publish_doctree

from tessera.errors import UserError
from tessera.report.captions import paragraphs, plain, read_caption
from tessera.report.outputs import CATEGORIES, FIGURES, TABLES, category
from tessera.report.pictures.catalogue import PICTURES

FOLDER = Path(__file__).parents[3] / "rules" / "captions"
WANTED = [
    *(f"table_{name}" for name in TABLES),
    *(f"figure_{name}" for name in FIGURES),
    *(f"picture_{name}" for name in PICTURES),
]


def test_every_caption_is_used():
    """There is one for each thing that is shown, and none for what is not."""
    assert {file.stem for file in FOLDER.iterdir()} == {*WANTED, "workflow"}


@pytest.mark.parametrize("stem", WANTED)
def test_a_caption_is_plain_text(stem):
    """One to five sentences, in paragraphs of words and literals alone, with nothing to fill in."""
    caption = read_caption(FOLDER, stem)
    assert not re.search(r"{[{%#]|\b(TODO|FIXME|XXX)\b", caption)
    tree = publish_doctree(caption, settings_overrides={"report_level": 1, "halt_level": 1})
    names = {node.tagname for node in tree.findall()}
    assert names <= {"document", "paragraph", "#text", "literal"}
    sentences = re.findall(r"[.?!](?=\s|$)", re.sub(r"\b(e\.g|i\.e|vs|cf)\.", "", plain(caption)))
    assert 1 <= len(sentences) <= 5
    assert plain(caption).endswith(".")


@pytest.mark.parametrize("stem", WANTED)
def test_both_reports_show_the_same_words(stem):
    """Those that docutils reads, which Snakemake asks, and those of the index page."""
    caption = read_caption(FOLDER, stem)
    theirs = [node.astext() for node in publish_doctree(caption).findall(nodes.paragraph)]
    assert [" ".join(text.split()) for text in theirs] == [
        html.unescape(re.sub(r"</?code>", "", text)) for text in paragraphs(caption)
    ]


def test_markup_of_a_caption():
    """Paragraphs, literals, and nothing that HTML would take for its own."""
    text = "One\nsentence with ``a_<b>`` in it.\n\n\nAnother & more.\n"
    assert paragraphs(text) == [
        "One sentence with <code>a_&lt;b&gt;</code> in it.",
        "Another &amp; more.",
    ]
    assert plain(text) == "One sentence with a_<b> in it. Another & more."


def test_a_caption_that_is_not_there(tmp_path):
    """The sentence says where to write it."""
    with pytest.raises(UserError, match=r"table_new\.rst does not exist: write a caption there"):
        read_caption(tmp_path, "table_new")


def test_everything_has_a_category():
    """The report shows nothing outside of its categories, and no empty one."""
    found = [category("table", name) for name in TABLES]
    found += [category("figure", name) for name in FIGURES]
    found += [category("picture", name) for name in PICTURES]
    assert set(found) == set(CATEGORIES)
