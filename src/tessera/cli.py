"""The command `tessera`: subcommands that look at a config, and the stages, run by hand."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from tessera.errors import UserError

# The rest is imported where it is used: `tessera --help` answers at once, and nothing here may
# import torch, which takes seconds.

COMMANDS = (
    "check",
    "settings",
    "where",
    "results",
    "plan",
    "explain",
    "verify",
    "repair",
    "stand_ins",
    "lock",
    "schema",
)
"""Modules of `tessera.commands`, in the order of the help."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: the arguments; None takes those of the process.

    Returns:
        The exit status: 0, or 1 where the user has to mend something.
    """
    from tessera.config.schema import stages

    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in stages():
        # A stage has its own parser: its arguments pass through, `--help` too.
        return run_stage(words[0], words[1:])
    try:
        if words[:1] == ["import"]:
            return import_published(words[1:])  # with a parser of its own, too
        arguments = _parser(stages()).parse_args(words)
        return int(arguments.work(arguments))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `tessera settings … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def run_stage(stage: str, argv: Sequence[str]) -> int:
    """Runs a stage module with its own arguments, as `python -m tessera.stages.<stage>` does."""
    return int(importlib.import_module(f"tessera.stages.{stage}").main(argv))


def import_published(argv: Sequence[str]) -> int:
    """Runs `tessera import` with its own arguments."""
    return int(importlib.import_module("tessera.reference.command").main(argv))


def _parser(stages: Sequence[str]) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="tessera",
        description="Trains, samples and evaluates image autoregressive models in cached stages.",
        epilog=f"Stages to run by hand, with arguments of their own: {', '.join(stages)}.",
    )
    commands = made.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name in COMMANDS:
        importlib.import_module(f"tessera.commands.{name}").add(commands)
    # Listed here; `main` passes its arguments on.
    commands.add_parser("import", help="turn published weights into files of this project")
    return made


if __name__ == "__main__":
    sys.exit(main())
