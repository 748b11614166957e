"""Cards → one page that shows all tables, figures and pictures, and opens offline.

Equal cards and files give equal bytes: the page holds no date.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tessera.config.schema import Config
from tessera.errors import UserError
from tessera.io.cards import fault, open_card
from tessera.io.files import REPAIR, write_text
from tessera.report.captions import read_caption
from tessera.report.collection import Collection, collect, labels_of
from tessera.report.outputs import (
    CATEGORIES,
    category,
    figure_files,
    figure_names,
    table_files,
    table_names,
    title,
)
from tessera.report.page import Shown, page, within
from tessera.report.pictures.catalogue import Picture, pictures
from tessera.report.render import parts_of_page
from tessera.stages.job import Job, log, run
from tessera.stages.tables import card_parser, read_config

STAGE = "index"


def work(job: Job) -> None:
    """Writes `index.html` and its card beside it."""
    arguments = job.arguments
    results, config = arguments.card.parent, read_config(job)
    cards = collect(arguments.cards, results, labels_of(config))
    job.record(cards.digests())
    made = set()
    for stage in ("tables", "figures"):
        card = job.input(f"{stage}/card.json", getattr(arguments, stage), stage)
        made |= {f"{stage}/{file}" for file in card["outputs"]}
    everything: dict[str, list[Shown]] = {name: [] for name in CATEGORIES}
    count = {"tables": 0, "figures": 0, "pictures": 0}
    for shown in _shown(config, results, made, arguments.captions):
        everything[shown.category].append(shown)
        count[f"{shown.kind}s"] += 1
    written = results / "index.html"
    write_text(written, page(config.title or "tessera", facts(cards), everything))
    log.info("%s: %.1f MB", written, written.stat().st_size / 1e6)
    job.finish(arguments.card, [written], dict(count))


def facts(cards: Collection) -> list[tuple[str, str]]:
    """What the run was, from its cards."""
    runs = [card.run for card in cards.cards]
    found = [
        ("Results", f"the cards of {len(runs):,} jobs"),
        ("Devices", _distinct([run.get("device") for run in runs])),
        ("Python", _distinct([run.get("python") for run in runs])),
    ]
    packages = [run.get("packages", {}) for run in runs]
    names = list(dict.fromkeys(name for known in packages for name in known))
    versions = [f"{name} {_distinct([known.get(name) for known in packages])}" for name in names]
    return [*found, ("Packages", ", ".join(versions))]


def _distinct(values: Sequence[Any]) -> str:
    return " and ".join(sorted({str(value) for value in values if value})) or "unknown"


def _shown(config: Config, results: Path, made: set[str], captions: Path) -> Iterator[Shown]:
    """Everything that the page shows; `made` are the files of tables and figures."""
    for kind, names, files_of in (
        ("table", table_names(config), table_files),
        ("figure", figure_names(config), figure_files),
    ):
        for name in names:
            files = {Path(file).suffix: f"{kind}s/{file}" for file in files_of(name)}
            if not made.issuperset(files.values()):
                continue
            note, table, image = "", "", b""
            if written := files.pop(".html", None):
                note, table = parts_of_page((results / written).read_text(encoding="utf-8"))
            if drawn := files.get(".png"):
                image = (results / drawn).read_bytes()
            yield Shown(
                category(kind, name),
                kind,
                title(kind, name),
                f"{kind}-{name}",
                read_caption(captions, f"{kind}_{name}"),
                _links(files),
                image,
                note,
                table,
            )
    for number, picture in enumerate(pictures(config)):
        yield Shown(
            category("picture", picture.section),
            "picture",
            picture.title,
            f"picture-{number}",
            read_caption(captions, picture.caption),
            _links({".png": picture.file}),
            within(_read(results, picture)),
        )


def _links(files: dict[str, str]) -> dict[str, str]:
    """What to call each file → its address on the page."""
    called = {".csv": "CSV", ".md": "Markdown", ".tex": "LaTeX", ".png": "PNG", ".pdf": "PDF"}
    return {called[kind]: quote(file) for kind, file in files.items()}


def _read(results: Path, picture: Picture) -> bytes:
    """A picture, checked by its card; of the sample set beside it nothing is read."""
    card, file = results / picture.card, results / picture.file
    outputs = open_card(card)["outputs"]
    name = file.relative_to(card.parent).as_posix()
    what = fault(file, outputs[name]) if name in outputs else "is none of its files"
    if what:
        raise UserError(f"{file} {what} (by its card, {card.name}): {REPAIR}")
    return file.read_bytes()


def _parser() -> argparse.ArgumentParser:
    made = card_parser(STAGE, __doc__, titled=True)
    for stage in ("tables", "figures"):
        made.add_argument(f"--{stage}", type=Path, required=True, help=f"card of the {stage}")
    made.add_argument("--captions", type=Path, required=True, help="folder of the captions")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    return run(STAGE, _parser().parse_args(argv), work, computes=False)


if __name__ == "__main__":
    sys.exit(main())
