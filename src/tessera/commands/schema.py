"""`tessera schema`: the JSON schema of the config."""

import argparse
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tessera.commands.shared import Commands


def add(commands: "Commands") -> None:
    """Adds the parser of `tessera schema`."""
    one = commands.add_parser("schema", help="print the JSON schema of the config")
    one.set_defaults(work=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the JSON schema of the config."""
    from tessera.config.schema import Config

    print(json.dumps(Config.model_json_schema(), indent=2))
    return 0
