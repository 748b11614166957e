"""What the commands share: which files make up a config."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tessera.errors import UserError

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

DEFAULT_CONFIG = "config.yaml"


def with_config() -> argparse.ArgumentParser:
    """A parent parser with `--configfile`."""
    made = argparse.ArgumentParser(add_help=False)
    made.add_argument(
        "--configfile",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help=f"config files laid over {DEFAULT_CONFIG}, in this order",
    )
    return made


def config_files(given: Sequence[str]) -> list[str]:
    """The files that make up a config, in their order: config.yaml, over it those given.

    The same files make up Snakemake's: the Snakefile names config.yaml, `--configfile` the others.

    Raises:
        UserError: none is given and config.yaml is not here.
    """
    default = [DEFAULT_CONFIG] if Path(DEFAULT_CONFIG).is_file() else []
    files = default + [file for file in given if Path(file) != Path(DEFAULT_CONFIG)]
    if not files:
        raise UserError(
            f"{DEFAULT_CONFIG} is not in this folder: change to the checkout, or give --configfile"
        )
    return files
