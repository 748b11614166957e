"""`tessera settings`: what a variant is made of."""

import argparse
from typing import TYPE_CHECKING

from tessera.commands.shared import config_files, with_config
from tessera.errors import UserError

if TYPE_CHECKING:
    from tessera.commands.shared import Commands


def add(commands: "Commands") -> None:
    """Adds the parser of `tessera settings`."""
    one = commands.add_parser(
        "settings", parents=[with_config()], help="print what a variant is made of, as JSON"
    )
    one.add_argument("section", help="section of the config, such as stage1")
    one.add_argument("variant", help="name of the variant")
    one.add_argument("--each", metavar="NAME", help="entry of an evaluation's or a probe's list")
    one.add_argument("--stage", help="the node of a stage that exports the variant: samples")
    one.set_defaults(work=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the canonical JSON of a variant: what `--settings` of its stage takes."""
    from tessera.config.jobs import LISTED
    from tessera.config.load import load
    from tessera.config.points import name_one, points_of
    from tessera.config.resolve import settings_text
    from tessera.config.schema import EXTRA_STAGES, STAGE_OF

    config = load(config_files(arguments.configfile))
    if arguments.section not in STAGE_OF:
        raise UserError(f"{arguments.section!r} is no section: choose one of {', '.join(STAGE_OF)}")
    known = getattr(config, arguments.section)
    swept = points_of(config.points, arguments.section, arguments.variant)
    if swept:
        raise UserError(f"{arguments.variant!r} in {arguments.section} is swept: {name_one(swept)}")
    if arguments.variant not in known:
        raise UserError(
            f"{arguments.variant!r} is not in {arguments.section}: "
            f"choose one of {', '.join(sorted(known)) or 'none, the section is empty'}"
        )
    if arguments.section in LISTED:
        entries = getattr(known[arguments.variant], LISTED[arguments.section])
        if arguments.each not in entries:
            raise UserError(
                f"{arguments.section}.{arguments.variant} makes one job an entry: "
                f"give --each with one of {', '.join(entries)}"
            )
    elif arguments.each is not None:
        raise UserError(f"--each is for {', '.join(LISTED)}: leave it out")
    if arguments.stage is not None and arguments.stage not in EXTRA_STAGES:
        raise UserError(f"--stage is for {', '.join(EXTRA_STAGES)}: leave it out")
    print(
        settings_text(config, arguments.section, arguments.variant, arguments.each, arguments.stage)
    )
    return 0
