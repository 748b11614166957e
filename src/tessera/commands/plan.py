"""`tessera plan`: what a run costs, before it starts."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tessera.commands.shared import config_files, with_config
from tessera.errors import UserError

if TYPE_CHECKING:
    from tessera.commands.shared import Commands
    from tessera.plan.table import Plan
    from tessera.report.table import Table


def add(commands: "Commands") -> None:
    """Adds the parser of `tessera plan`."""
    one = commands.add_parser(
        "plan", parents=[with_config()], help="say what a run costs, before it starts"
    )
    one.add_argument("--device", help="GPU: a100, h100, h200, rtx4090 (default: the config's)")
    one.add_argument("--gpus", type=int, default=1, help="GPUs at once (default 1)")
    one.add_argument("--cores", type=int, help="CPU cores at once (default: this machine's)")
    one.add_argument(
        "--uncorrected", action="store_true", help="arithmetic alone: look at no finished run"
    )
    one.add_argument("--out", type=Path, help="write the table too: FILE.csv or FILE.md")
    one.set_defaults(work=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the plan of a config, and writes it where asked."""
    import os

    from tessera.config.load import chain, load
    from tessera.io.files import write_text
    from tessera.plan.calibration import measured_rate
    from tessera.plan.devices import cpu
    from tessera.plan.estimate import Planner
    from tessera.plan.table import plan
    from tessera.report.render import to_csv, to_markdown

    out: Path | None = arguments.out
    writers = {".csv": to_csv, ".md": to_markdown}
    if out is not None and out.suffix not in writers:
        raise UserError(f"--out {out} is neither a .csv nor a .md file: name one")
    for name in ("gpus", "cores"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise UserError(f"--{name} is {value}: give at least 1")
    files = config_files(arguments.configfile)
    config = load(files)
    planner = Planner(config, arguments.device, cpu(measured_rate()), not arguments.uncorrected)
    cores = arguments.cores or os.cpu_count() or 1
    made = plan(planner, cores, arguments.gpus, free_bytes(Path(config.results)))
    read = " + ".join(map(str, chain(files)))
    table = as_table(made, f"{read}, cores: {cores}, GPUs: {arguments.gpus}")
    print(to_markdown(table), end="")
    for line in made.assumed:
        print(f"assumed: {line}")
    for line in made.warnings:
        print(f"warning: {line}")
    if out is not None:
        write_text(out, writers[out.suffix](table))
    return 0


def free_bytes(folder: Path) -> float:
    """Bytes that are free where a folder lies or will lie."""
    import shutil

    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return float(shutil.disk_usage(there).free)


def as_table(made: "Plan", caption: str) -> "Table":
    """The plan as a table that can be rendered."""
    from dataclasses import asdict

    from tessera.plan.units import scaled, seconds_shown
    from tessera.report.table import EMPTY, Column, Table

    def size(value: float) -> str:
        return scaled(value, "B")

    columns = (
        Column("rule", "rule"),
        Column("device", "device"),
        Column("jobs", "jobs"),
        Column("done", "done"),
        Column("operations", "FLOPs", show=lambda value: scaled(value, "")),
        Column("gpu_hours", "GPU-hours", show=lambda value: f"{value:.1f}"),
        Column("longest_s", "longest job", show=seconds_shown),
        Column("walltime_s", "walltime", show=seconds_shown),
        Column("gpu_memory_bytes", "GPU memory", show=size),
        Column("host_memory_bytes", "host memory", show=size),
        Column("kept_bytes", "disk", show=size),
        Column("temporary_bytes", "temporary", show=size),
        Column("cards", "cards"),
        Column(
            "factor", "corrected", show=lambda value: EMPTY if value is None else f"{value:.2f}"
        ),
    )
    rows = [
        {key: value or None if key in ("done", "cards") else value for key, value in row.items()}
        for row in map(asdict, made.rows)
    ]
    return Table("plan", caption, columns, rows)
