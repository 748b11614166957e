"""Files of many images, read in place: their counts, and the order of their classes.

Labels are put into their own order. Where the samples' names hold WordNet identifiers, that order
must be the identifiers' order as well, which is the order in which ImageNet's classes are counted
everywhere; it is checked, because another order would train without an error.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from tessera.config.data import ParquetData, WebDatasetData
from tessera.config.sources import split_files
from tessera.data import parquet, webdataset
from tessera.data.records import Entry, Record, Sample, held, require_count, require_unchanged
from tessera.data.sources import require_found
from tessera.data.threads import ordered_map
from tessera.errors import UserError

Label = int | str

_WNID = re.compile(r"(?<![A-Za-z0-9])n\d{8}(?!\d)")


@dataclass(frozen=True)
class Scan:
    """What files of images hold.

    Attributes:
        classes: the classes' names: WordNet identifiers where they are known, else the labels.
        splits: split → `{"count", "per_class", "shards", "skipped"}`, as in the index.
        labels: the labels as stored, in the order of the classes.
        excluded: images a split that the settings leave out.
    """

    classes: list[str]
    splits: dict[str, dict[str, Any]]
    labels: list[Label]
    excluded: dict[str, int]


@dataclass
class _File:
    """What one file holds."""

    labels: Counter[Label] = field(default_factory=Counter)
    wnids: dict[Label, str] = field(default_factory=dict)
    found: set[str] = field(default_factory=set)
    excluded: int = 0


def read_samples(
    path: Path, settings: WebDatasetData | ParquetData, images: bool = True
) -> Iterator[Sample]:
    """The samples of one file; see `webdataset.samples` and `parquet.samples`."""
    exclude = frozenset(settings.exclude)
    if isinstance(settings, WebDatasetData):
        return webdataset.samples(path, settings, exclude, images)
    return parquet.samples(path, settings, exclude, images)


def scan(settings: WebDatasetData | ParquetData, workers: int = 1) -> Scan:
    """Reads the labels of all files; the images are passed over.

    Args:
        settings: the data set.
        workers: files at once: on a network disk the waiting is longer than the work.

    Raises:
        UserError: a file cannot be read, a label is missing, classes are in the wrong order, or a
            class is only in the validation split.
    """
    files = split_files(settings)
    read: dict[str, list[_File]] = {}
    for split, names in files.items():

        def look(name: str) -> _File:
            return _scan_file(Path(name), settings)

        read[split] = list(ordered_map(look, names, workers))
    require_found(settings.exclude, {n for s in read.values() for file in s for n in file.found})
    labels = _order([file.labels for file in read["train"]])
    names_of = _class_names(labels, [file.wnids for each in read.values() for file in each])
    rank = {label: number for number, label in enumerate(labels)}
    splits = {}
    for split, found in read.items():
        total: Counter[Label] = Counter()
        shards: list[Entry] = []
        for name, file in zip(files[split], found, strict=True):
            unknown = [label for label in file.labels if label not in rank]
            if unknown:
                raise UserError(
                    f"{name} holds the class {unknown[0]!r}, which the training split does not "
                    "have: check the patterns of this data set, or set `validation` if whole "
                    "files hold single classes"
                )
            shards.append(
                {
                    "file": name,
                    "format": settings.kind,
                    "count": file.labels.total(),
                    "first": total.total(),
                    "bytes": os.path.getsize(name),
                }
            )
            total += file.labels
        if not total:
            raise UserError(
                f"the files of the {split} split hold no images, {files[split][0]} among them: "
                "check the patterns of this data set"
            )
        splits[split] = {
            "count": total.total(),
            "per_class": [total[label] for label in labels],
            "shards": shards,
            "skipped": [],
        }
    excluded = {split: sum(file.excluded for file in read[split]) for split in read}
    return Scan(names_of, splits, labels, excluded)


def _scan_file(path: Path, settings: WebDatasetData | ParquetData) -> _File:
    made, exclude = _File(), set(settings.exclude)
    for sample in read_samples(path, settings, images=False):
        if sample.label is None:
            made.excluded += 1
            made.found |= exclude.intersection(sample.names)
            continue
        made.labels[sample.label] += 1
        wnid = _wnid(sample)
        if wnid is not None and made.wnids.setdefault(sample.label, wnid) != wnid:
            raise _contradiction(sample.label, made.wnids[sample.label], wnid, str(path))
    return made


def _wnid(sample: Sample) -> str | None:
    """The one WordNet identifier that a sample's label or name holds."""
    text = sample.label if isinstance(sample.label, str) else sample.names[0]
    found = set(_WNID.findall(text))
    return found.pop() if len(found) == 1 else None


def _contradiction(label: Label, one: str, other: str, where: str) -> UserError:
    return UserError(
        f"the label {label!r} stands for both {one} and {other} ({where}): the labels do not "
        "belong to these images; write the files again, or set `label_key` of this data set"
    )


def _order(counts: list[Counter[Label]]) -> list[Label]:
    """All labels in their order: of numbers or of text."""
    labels: set[Label] = set().union(*counts)
    numbers = sorted(label for label in labels if isinstance(label, int))
    texts = sorted(label for label in labels if isinstance(label, str))
    if numbers and texts:
        raise UserError(
            f"some labels are numbers ({numbers[0]}) and some are text ({texts[0]!r}): set "
            "`label_key` of this data set to a field that is always the one or always the other"
        )
    return [*numbers, *texts]


def _class_names(labels: list[Label], seen: list[dict[Label, str]]) -> list[str]:
    """The classes' names; their order is checked where WordNet identifiers are known.

    Raises:
        UserError: a label stands for two identifiers, two labels for one, or the identifiers are
            in another order than the labels.
    """
    wnids: dict[Label, str] = {}
    for each in seen:
        for label, wnid in each.items():
            if wnids.setdefault(label, wnid) != wnid:
                raise _contradiction(label, wnids[label], wnid, "in different files")
    known = [(label, wnids[label]) for label in labels if label in wnids]
    for (label, wnid), (after, next_wnid) in pairwise(known):
        if wnid >= next_wnid:
            raise UserError(
                f"the labels are not in the order of the WordNet identifiers: {label!r} is {wnid} "
                f"and {after!r} is {next_wnid}; number the classes in the sorted order of their "
                "identifiers, or set `label_key` of this data set to a field that does"
            )
    return [wnids[label] if len(known) == len(labels) else str(label) for label in labels]


def read_file(
    entry: Entry, settings: WebDatasetData | ParquetData, labels: list[Label]
) -> Iterator[Record]:
    """The images of one file that was scanned before.

    Args:
        entry: its entry in the index.
        settings: the data set, as it was scanned.
        labels: the labels in the order of the classes.

    Yields:
        Records, in the file's order.

    Raises:
        UserError: the file changed since.
    """
    path = Path(entry["file"])
    require_unchanged(path, entry)
    rank = {label: number for number, label in enumerate(labels)}
    seen = 0
    for sample in read_samples(path, settings):
        if sample.label is None:
            continue
        where = f"{path}, {sample.names[0]}"
        if sample.label not in rank:
            raise UserError(
                f"{where} has the label {sample.label!r}, which it had not when the file was "
                "listed: run the stage `shards` again"
            )
        yield Record(
            entry["first"] + seen, rank[sample.label], where, held(sample.data),
            sample.names[0],
        )  # fmt: skip
        seen += 1
    require_count(path, entry, seen)
