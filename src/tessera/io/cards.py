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
from tessera.io.files import REPAIR, read_json, sha256_file, write_json
from tessera.io.shapes import PART_SUFFIX, part_shapes

PACKAGES = (
    "tessera",
    "torch",
    "numpy",
    "zarr",
    "pyarrow",
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
    files = {output.relative_to(path.parent).as_posix(): _describe(output) for output in outputs}
    card = {
        "stage": node["stage"],
        "node": node,
        "inputs": inputs,
        "outputs": files,
        # Stands for what was made, whenever and however fast: two equal runs have equal digests.
        "digest": _digest(files, results),
        "results": results,
        "run": run
        | {
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "python": platform.python_version(),
            "packages": _versions(PACKAGES),
        },
    }
    write_json(path, card)


def open_card(path: Path | str) -> dict[str, Any]:
    """Reads a card without a look at the files that it tells of.

    Raises:
        UserError: absent, no card, or no longer what was written.
    """
    path = Path(path)
    card: dict[str, Any] = read_json(path)
    if not isinstance(card, dict) or not card.keys() >= {"stage", "node", "outputs", "digest"}:
        raise UserError(f"{path} is no card: check the paths that you gave")
    try:
        same = _digest(card["outputs"], card["results"]) == card["digest"]
    except (KeyError, TypeError, AttributeError):
        same = False
    if not same:
        raise UserError(f"{path} is damaged (its numbers are not those of its digest): {REPAIR}")
    return card


def read_card(path: Path | str, stage: str | None = None) -> dict[str, Any]:
    """Reads a card and checks that the files it tells of are there and unchanged.

    Args:
        path: the card.
        stage: the stage that must have written it; None takes any.

    Raises:
        UserError: absent, no card, of another stage, altered, or a file of it is missing or
            altered.
    """
    path = Path(path)
    card = open_card(path)
    if stage is not None and card.get("stage") != stage:
        raise UserError(
            f"{path} is the card of the stage {card.get('stage')!r}, not of {stage!r}: "
            "check the paths that you gave"
        )
    for name, entry in card["outputs"].items():
        file = path.parent / name
        # Shards are read member by member with checks of their own; hashing ImageNet in each
        # job would cost minutes.
        if found := fault(file, entry, hashed=file.suffix != ".tar"):
            raise UserError(f"{file} {found} (by its card, {path.name}): {REPAIR}")
    return card


def fault(file: Path, entry: dict[str, Any], hashed: bool = True) -> str | None:
    """What is wrong with a file, by its entry in a card: "is missing", or None for nothing.

    Args:
        file: the file.
        entry: what the card tells of it: its size, its SHA-256, and the shapes of a part's arrays.
        hashed: read the whole file, to compare its SHA-256 too.
    """
    if not file.is_file():
        return "is missing"
    size = file.stat().st_size
    if size != entry["bytes"]:
        how = "truncated" if size < entry["bytes"] else "altered"
        return f"is {how} ({size} bytes of {entry['bytes']})"
    if hashed and sha256_file(file) != entry["sha256"]:
        return "is damaged (its SHA-256 differs)"
    if "arrays" in entry:
        try:
            shapes = part_shapes(file)
        except ValueError as error:
            return f"is damaged ({error})"
        if shapes != entry["arrays"]:
            return f"holds arrays of other shapes ({shapes}, not {entry['arrays']})"
    return None


def _describe(file: Path) -> dict[str, Any]:
    """What a card tells of a file."""
    entry: dict[str, Any] = {"sha256": sha256_file(file), "bytes": file.stat().st_size}
    if file.name.endswith(PART_SUFFIX):
        entry["arrays"] = part_shapes(file)
    return entry


def _digest(files: dict[str, Any], results: dict[str, Any]) -> str:
    """The digest of what was made: of the files' bytes and the numbers, not of how."""
    made = {name: entry["sha256"] for name, entry in files.items()}
    return sha256_json({"outputs": made, "results": results})


def _versions(packages: Sequence[str]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    found = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
