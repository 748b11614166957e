"""`tessera check`: validates a config before anything runs."""

import argparse
from typing import TYPE_CHECKING

from tessera.commands.shared import config_files, with_config

if TYPE_CHECKING:
    from tessera.commands.shared import Commands


def add(commands: "Commands") -> None:
    """Adds the parser of `tessera check`."""
    one = commands.add_parser("check", parents=[with_config()], help="validate a config")
    one.set_defaults(work=run)


def run(arguments: argparse.Namespace) -> int:
    """Validates a config, source folders too, and says what it holds."""
    from tessera.config.load import load
    from tessera.config.resolve import node
    from tessera.config.schema import STAGE_OF

    files = config_files(arguments.configfile)
    config = load(files)
    for name in config.data:
        node(config, "data", name)  # looks into the folders
    print(f"{' + '.join(files)}: valid")
    for section in ("data", "views", *(name for name in STAGE_OF if name != "data")):
        if names := getattr(config, section):
            print(f"  {section}: {', '.join(names)}")
    return 0
