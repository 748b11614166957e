"""`tessera check`: validates a config, and looks at all files that it names."""

import argparse
import sys
from typing import TYPE_CHECKING

from tessera.commands.shared import config_files, with_config
from tessera.errors import UserError

if TYPE_CHECKING:
    from tessera.commands.shared import Commands
    from tessera.config.schema import Config


def add(commands: "Commands") -> None:
    """Adds the parser of `tessera check`."""
    one = commands.add_parser(
        "check", parents=[with_config()], help="validate a config and look at all files it names"
    )
    one.set_defaults(work=run)


def run(arguments: argparse.Namespace) -> int:
    """Validates a config, looks at all files that it names, and says what it holds."""
    from tessera.config.kinds import SECTIONS
    from tessera.config.load import chain, load

    files = config_files(arguments.configfile)
    config = load(files)
    if problems := file_problems(config):
        for problem in problems:
            print(f"error: {problem}", file=sys.stderr)
        return 1
    print(f"{' + '.join(map(str, chain(files)))}: valid")
    for section in SECTIONS:
        if names := getattr(config, section):
            print(f"  {section}: {', '.join(names)}")
    return 0


def file_problems(config: "Config") -> list[str]:
    """What is wrong with the images, weights and statistics that a config names, one sentence each.

    Files of weights are read whole, for their digests.
    """
    from tessera.config.base import Published
    from tessera.config.kinds import SECTIONS
    from tessera.config.published import require_files
    from tessera.config.resolve import state_of_files

    found = []
    for section in SECTIONS:
        for name, variant in getattr(config, section).items():
            try:
                state_of_files(section, name, variant)
            except UserError as error:
                found.append(str(error))
                continue
            try:
                if isinstance(variant, Published):
                    require_files(variant.path, section)
            except UserError as error:
                found.append(f"config: {section}.{name}: {error}")
    return found
