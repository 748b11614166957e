"""Cards: what a job made, of what, and how. Written last, so a card means the job is done.

Tables and figures are built from cards alone; every number in a paper can be traced through them
to the images.
"""

import platform
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tessera.config.canonical import sha256_json
from tessera.errors import UserError
from tessera.io.files import read_json, sha256_file, write_json

PACKAGES = (
    "tessera",
    "torch",
    "numpy",
    "zarr",
    "pyarrow",
    "faiss-cpu",
    "faiss-gpu-cu12",
    "timm",
    "torch-fidelity",
    "snakemake",
)
"""What a card tells the versions of, as far as it is installed."""


def write_card(
    path: Path,
    node: dict[str, Any],
    inputs: dict[str, str],
    outputs: Sequence[Path],
    results: dict[str, Any],
    run: dict[str, Any],
) -> None:
    """Writes a job's card.

    Args:
        path: the card's file; the outputs lie in its folder or below.
        node: the variant's settings down to the images (`tessera.config.resolve`).
        inputs: input → digest of its card.
        outputs: the files that the job wrote.
        results: numbers and facts; what a table reads.
        run: what may differ between two runs of equal result: seconds, memory, device, threads.
    """
    files = {
        output.relative_to(path.parent).as_posix(): {
            "sha256": sha256_file(output),
            "bytes": output.stat().st_size,
        }
        for output in outputs
    }
    made = {name: entry["sha256"] for name, entry in files.items()}
    card = {
        "stage": node["stage"],
        "node": node,
        "inputs": inputs,
        "outputs": files,
        # Stands for what was made, whenever and however fast: two equal runs have equal digests.
        "digest": sha256_json({"outputs": made, "results": results}),
        "results": results,
        "run": run
        | {
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "python": platform.python_version(),
            "packages": _versions(PACKAGES),
        },
    }
    write_json(path, card)


def read_card(path: Path | str, stage: str | None = None) -> dict[str, Any]:
    """Reads a card and checks that the files it tells of are there and unchanged.

    Args:
        path: the card.
        stage: the stage that must have written it; None takes any.

    Raises:
        UserError: absent, no card, of another stage, or a file of it is missing or altered.
    """
    path = Path(path)
    card: dict[str, Any] = read_json(path)
    if not isinstance(card, dict) or not card.keys() >= {"stage", "node", "outputs", "digest"}:
        raise UserError(f"{path} is no card: check the paths that you gave")
    if stage is not None and card.get("stage") != stage:
        raise UserError(
            f"{path} is the card of the stage {card.get('stage')!r}, not of {stage!r}: "
            "check the paths that you gave"
        )
    for name, entry in card["outputs"].items():
        file = path.parent / name
        cure = f"delete {path} and run again"
        if not file.is_file():
            raise UserError(f"{file} is missing although {path} tells of it: {cure}")
        if file.stat().st_size != entry["bytes"]:
            raise UserError(f"{file} is truncated or altered (its size differs): {cure}")
        # Shards are read member by member with checks of their own; hashing ImageNet in each
        # job would cost minutes.
        if file.suffix != ".tar" and sha256_file(file) != entry["sha256"]:
            raise UserError(f"{file} is damaged (its SHA-256 differs): {cure}")
    return card


def _versions(packages: Sequence[str]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    found = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
