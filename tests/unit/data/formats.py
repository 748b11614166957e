"""One small data set as every kind of file: what tests of readers write."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

WNIDS = ("n01440764", "n02102040", "n15075141")
COUNTS = {"train": 6, "validation": 2}
"""Images a class."""
KINDS = ("packed", "folder", "webdataset", "webdataset_json", "webdataset_wnid", "parquet")

Sample = tuple[str, int, bytes]
"""Key, class and bytes of an image file."""


def write_tar(path: Path, members: list[tuple[str, bytes]]) -> Path:
    """A tar of plain files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write_webdataset(folder: Path, splits: dict[str, list[Sample]], how: str = "cls") -> None:
    """Two tars a split; `how` labels stand in `.cls` files, or as numbers or wnids in JSON."""
    for split, samples in splits.items():
        for part in range(2):
            members = []
            for key, label, image in samples[part::2]:
                text = {"cls": WNIDS[label]} if how == "wnid" else {"label": label}
                members.append((f"{key}.jpg", image))
                if how == "cls":
                    members.append((f"{key}.cls", str(label).encode()))
                members.append(
                    (f"{key}.json", json.dumps({"width": 1} if how == "cls" else text).encode())
                )
            write_tar(folder / f"{split}-{part:04d}.tar", members)


def write_parquet(folder: Path, splits: dict[str, list[Sample]], columns: Any = None) -> None:
    """Two files a split, as the Hugging Face hub has them: small row groups, a struct an image."""
    import pyarrow as arrow
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    for split, samples in splits.items():
        for part in range(2):
            rows = samples[part::2]
            table = arrow.table(
                columns(rows)
                if columns
                else {
                    "image": [{"bytes": data, "path": f"{key}.JPEG"} for key, _, data in rows],
                    "label": [label for _, label, _ in rows],
                }
            )
            parquet.write_table(table, folder / f"{split}-{part:05d}.parquet", row_group_size=4)


def write_folder(folder: Path, splits: dict[str, list[Sample]]) -> None:
    """Writes train/<wnid>/<key>.JPEG and val/<wnid>/<key>.JPEG."""
    for split, samples in splits.items():
        for key, label, image in samples:
            place = folder / {"validation": "val"}.get(split, split) / WNIDS[label]
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{key}.JPEG").write_bytes(image)
