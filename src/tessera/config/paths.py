"""Where each result lies, relative to the folder `results` of the config.

One folder a stage, in it one a variant. The workflow and the command line both ask here.
"""

from pathlib import PurePosixPath
from typing import Any

from tessera.config.data import FolderData, ParquetData, WebDatasetData
from tessera.config.schema import STAGE_OF, Config
from tessera.config.sources import split_files

SPLITS = ("train", "validation")


def part_name(part: int, parts: int) -> str:
    """`part-0003-of-0008`: the count is in the name, so that another split never mixes in."""
    return f"part-{part:04d}-of-{parts:04d}"


def shard_names(data: Any, split: str, count: int) -> list[str]:
    """The files of a split that the stage `shards` writes beside the index.

    Args:
        data: the settings of the data set.
        split: the split.
        count: how many files; 0 where files that hold many images are read in place.
    """
    ending = "tsv" if isinstance(data, FolderData) and data.in_place else "tar"
    return [f"{split}-{number:05d}-of-{count:05d}.{ending}" for number in range(count)]


class Paths:
    """Paths of a config's results.

    Args:
        config: the validated config.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.root = PurePosixPath(config.results)

    def folder(self, section: str, name: str) -> str:
        """The folder of a variant."""
        kind = "shards" if section == "data" else section
        return str(self.root / kind / name)

    def card(self, section: str, name: str) -> str:
        """The card of a variant that one job makes."""
        return f"{self.folder(section, name)}/card.json"

    def cards(self, section: str, name: str, split: str = "train") -> list[str]:
        """The cards of all parts of a variant that several jobs make."""
        parts = self.parts(section, name, split)
        folder = self.folder(section, name)
        if section == "tokens":
            folder += f"/{split}"
        return [f"{folder}/{part_name(part, parts)}.json" for part in range(parts)]

    def parts(self, section: str, name: str, split: str = "train") -> int:
        """Jobs that make a variant: as configured, but never more than there are shards.

        Raises:
            UserError: the images are in files of which none is found.
        """
        asked = self.config.execute(STAGE_OF[section]).parts
        if section not in ("features", "tokens"):
            return asked
        views = self.config.views[getattr(self.config, section)[name].views]
        data = self.config.data[views.data]
        if isinstance(data, WebDatasetData | ParquetData):
            return min(asked, len(split_files(data)[split]))
        return min(asked, getattr(data.shards, split))

    def shards(self, data: str, split: str) -> list[str]:
        """What the stage `shards` writes of a split beside the index.

        Tar files, or lists of files where a folder is read in place; nothing for files that hold
        many images already.
        """
        variant, folder = self.config.data[data], self.folder("data", data)
        count = 0
        if not isinstance(variant, WebDatasetData | ParquetData):
            count = getattr(variant.shards, split)
        return [f"{folder}/{name}" for name in shard_names(variant, split, count)]

    def pair(self, section: str, name: str, each: str) -> str:
        """The card of one job of a variant that makes a job for each entry of a list."""
        return f"{self.folder(section, name)}/{each}.json"
