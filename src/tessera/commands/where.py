"""`tessera where`: where the results lie."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tessera.commands.shared import config_files, with_config

if TYPE_CHECKING:
    from tessera.commands.shared import Commands


def add(commands: "Commands") -> None:
    """Adds the parser of `tessera where`."""
    one = commands.add_parser("where", parents=[with_config()], help="say where the results lie")
    one.set_defaults(work=run)


def run(arguments: argparse.Namespace) -> int:
    """Says where the reports, the tables, the figures and the pictures lie."""
    from tessera.config.load import load
    from tessera.report.pictures.catalogue import pictures

    config = load(config_files(arguments.configfile))
    root = Path(config.results)
    places = [
        ("page", root / "index.html"),
        ("report", root / "report.html"),
        ("tables", root / "tables"),
        ("figures", root / "figures"),
        *((picture.title, root / picture.file) for picture in pictures(config)),
    ]
    width = max(len(name) for name, _ in places)
    for name, path in places:
        print(f"{name:<{width}}  {path if path.exists() else f'{path} (not made yet)'}")
    return 0
