"""The command `tessera`: looks at a config, decides about stage versions, runs a stage by hand."""

import argparse
import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tessera.errors import UserError

# The rest is imported where it is used: `tessera --help` answers at once, and nothing here may
# import torch, which takes seconds.

DEFAULT_CONFIG = "config.yaml"


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


def write_stand_ins(arguments: argparse.Namespace) -> int:
    """Writes the stand-ins for ImageNet and the published weights."""
    module = importlib.import_module("tessera.reference.stand_ins")
    module.write_stand_ins(arguments.folder, arguments.train, arguments.validation)
    print(f"stand-ins for ImageNet and for published weights lie in {arguments.folder}")
    return 0


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


def show_settings(arguments: argparse.Namespace) -> int:
    """Prints the canonical JSON of a variant: what `--settings` of its stage takes."""
    from tessera.config.load import load
    from tessera.config.resolve import settings_text
    from tessera.config.schema import EXTRA_STAGES, STAGE_OF

    config = load(config_files(arguments.configfile))
    if arguments.section not in STAGE_OF:
        raise UserError(f"{arguments.section!r} is no section: choose one of {', '.join(STAGE_OF)}")
    known = getattr(config, arguments.section)
    if arguments.variant not in known:
        raise UserError(
            f"{arguments.variant!r} is not in {arguments.section}: "
            f"choose one of {', '.join(sorted(known)) or 'none, the section is empty'}"
        )
    lists = {"evaluations": "samplings", "probes": "stage1"}
    if arguments.section in lists:
        entries = getattr(known[arguments.variant], lists[arguments.section])
        if arguments.each not in entries:
            raise UserError(
                f"{arguments.section}.{arguments.variant} makes one job an entry: "
                f"give --each with one of {', '.join(entries)}"
            )
    elif arguments.each is not None:
        raise UserError(f"--each is for {' and '.join(lists)}: leave it out")
    if arguments.stage is not None and arguments.stage not in EXTRA_STAGES:
        raise UserError(f"--stage is for {', '.join(EXTRA_STAGES)}: leave it out")
    print(
        settings_text(config, arguments.section, arguments.variant, arguments.each, arguments.stage)
    )
    return 0


def check_config(arguments: argparse.Namespace) -> int:
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


def decide(arguments: argparse.Namespace) -> int:
    """Shows which stages' code moved, or records a decision about them."""
    from tessera.config.lock import read_lock, write_lock
    from tessera.config.schema import stages
    from tessera.decisions import find_moves, question, record
    from tessera.fingerprint import Package

    package, lock, known = Package(), read_lock(), stages()
    accept = _named(arguments.accept, known)
    bump = _named(arguments.bump, known)
    if both := [stage for stage in accept if stage in bump]:
        raise UserError(f"{both[0]} is both accepted and bumped: decide for one of them")
    try:
        if accept or bump:
            decided = record(package, lock, accept, bump)
            write_lock({stage: decided[stage] for stage in known if stage in decided})
            for stage in bump:
                print(f"{stage}: version {decided[stage]['version']}, will run again everywhere")
            for stage in accept:
                if decided[stage] != lock.get(stage):
                    print(f"{stage}: recorded, version {decided[stage]['version']} stays")
            return 0
        moves = find_moves(package, lock, known)
    except FileNotFoundError as error:
        raise UserError(f"a stage has no code ({error}): write it first") from error
    print(question(moves) if moves else f"the code of all {len(known)} stages is on record")
    return 1 if moves else 0


def _named(asked: Sequence[str], known: Sequence[str]) -> list[str]:
    """The stages that a command line names, `all` standing for every one."""
    for stage in asked:
        if stage != "all" and stage not in known:
            raise UserError(f"{stage!r} is no stage: choose of {', '.join(known)}, or all")
    return [stage for stage in known if stage in asked or "all" in asked]


def show_schema(arguments: argparse.Namespace) -> int:
    """Prints the JSON schema of the config."""
    from tessera.config.schema import Config

    print(json.dumps(Config.model_json_schema(), indent=2))
    return 0


def show_results(arguments: argparse.Namespace) -> int:
    """Says where the report, the tables, the figures and the sample grids lie."""
    from tessera.config.load import load
    from tessera.config.paths import Paths

    config = load(config_files(arguments.configfile))
    paths, root = Paths(config), Path(config.results)
    places = [
        ("report", root / "report.html"),
        ("tables", root / "tables"),
        ("figures", root / "figures"),
        *(
            (f"samples {name}", Path(paths.folder("samplings", name)) / "grid.png")
            for name in config.samplings
        ),
    ]
    width = max(len(name) for name, _ in places)
    for name, path in places:
        print(f"{name:<{width}}  {path if path.exists() else f'{path} (not made yet)'}")
    return 0


def _parser(stages: Sequence[str]) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="tessera",
        description="Trains, samples and evaluates image autoregressive models in cached stages.",
        epilog=f"Stages to run by hand, with arguments of their own: {', '.join(stages)}.",
    )
    commands = made.add_subparsers(title="commands", required=True, metavar="COMMAND")
    with_config = argparse.ArgumentParser(add_help=False)
    with_config.add_argument(
        "--configfile",
        nargs="+",
        default=[],
        metavar="FILE",
        help=f"config files laid over {DEFAULT_CONFIG}, in this order",
    )

    one = commands.add_parser("check", parents=[with_config], help="validate a config")
    one.set_defaults(work=check_config)

    one = commands.add_parser(
        "settings", parents=[with_config], help="print what a variant is made of, as JSON"
    )
    one.add_argument("section", help="section of the config, such as stage1")
    one.add_argument("variant", help="name of the variant")
    one.add_argument("--each", metavar="NAME", help="entry of an evaluation's or a probe's list")
    one.add_argument("--stage", help="the node of a stage that exports the variant: samples")
    one.set_defaults(work=show_settings)

    one = commands.add_parser("where", parents=[with_config], help="say where the results lie")
    one.set_defaults(work=show_results)

    # Listed here; `main` passes its arguments on.
    commands.add_parser("import", help="turn published weights into files of this project")

    one = commands.add_parser(
        "stand-ins", help="write images and weights for a rehearsal of an ImageNet experiment"
    )
    one.add_argument("folder", type=Path, help="folder to write; what is there already stays")
    one.add_argument("--train", type=int, default=48, help="training images (default 48)")
    one.add_argument("--validation", type=int, default=16, help="validation images (default 16)")
    one.set_defaults(work=write_stand_ins)

    one = commands.add_parser("lock", help="show or decide which stages' code changed")
    one.add_argument(
        "--accept", nargs="+", default=[], metavar="STAGE", help="same results: record the code"
    )
    one.add_argument(
        "--bump", nargs="+", default=[], metavar="STAGE", help="other results: raise the version"
    )
    one.set_defaults(work=decide)

    one = commands.add_parser("schema", help="print the JSON schema of the config")
    one.set_defaults(work=show_schema)
    return made


if __name__ == "__main__":
    sys.exit(main())
