"""`tessera stand-ins`: files for a rehearsal of an ImageNet experiment."""

import argparse
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tessera.commands.shared import Commands


def add(commands: "Commands") -> None:
    """Adds the parser of `tessera stand-ins`."""
    one = commands.add_parser(
        "stand-ins", help="write images and weights for a rehearsal of an ImageNet experiment"
    )
    one.add_argument("folder", type=Path, help="folder to write; what is there already stays")
    one.add_argument("--train", type=int, default=48, help="training images (default 48)")
    one.add_argument("--validation", type=int, default=16, help="validation images (default 16)")
    one.set_defaults(work=run)


def run(arguments: argparse.Namespace) -> int:
    """Writes the stand-ins for ImageNet and the published weights."""
    module = importlib.import_module("tessera.reference.stand_ins")
    module.write_stand_ins(arguments.folder, arguments.train, arguments.validation)
    print(f"stand-ins for ImageNet and for published weights lie in {arguments.folder}")
    return 0
