"""The pictures that stages leave beside their cards, as far as a report shows them."""

from collections.abc import Iterator
from dataclasses import dataclass

from tessera.config.jobs import LISTED
from tessera.config.paths import Paths
from tessera.config.points import points_of
from tessera.config.schema import Config
from tessera.report.collection import Collection, labels_of

PICTURES = {
    "samplings": ("Samples", "grid.png"),
    "neighbours": ("Nearest training images", "{each}.png"),
    "reconstructions": ("Reconstructions", "grid.png"),
    "patches": ("What a code sees", "patches.png"),
}
"""Section → what its pictures show, and the file of each; "{each}" stands for the entry where a
variant makes a job an entry."""


@dataclass(frozen=True)
class Picture:
    """A picture.

    Attributes:
        section: the section of the variant that it shows.
        title: what the report calls it, unlike any other: "Samples: DiGIT + AR".
        card: the card of the job that draws it, relative to the folder of all results.
        file: the PNG, likewise.
    """

    section: str
    title: str
    card: str
    file: str

    @property
    def caption(self) -> str:
        """The stem of the file of its caption."""
        return f"picture_{self.section}"


def pictures(config: Config) -> list[Picture]:
    """The pictures that a report of this config shows, in the order of the config.

    Points of a sweep, which would be many alike, are left out; of those that differ in seeds alone
    the first one stands for all.
    """
    labels = Collection([], labels_of(config))
    root, paths = f"{Paths(config).root}/", Paths(config)
    found = []
    for section, (what, file) in PICTURES.items():
        for name, each in _entries(config, section):
            card = paths.card(section, name) if each is None else paths.pair(section, name, each)
            label = labels.label(section, name)
            if each is not None:
                label = f"{labels.label(LISTED[section], each)}, {label}"
            folder = f"{paths.folder(section, name)}/".removeprefix(root)
            found.append(
                Picture(
                    section,
                    f"{what}: {label}",
                    card.removeprefix(root),
                    f"{folder}{file.format(each=each)}",
                )
            )
    return found


def _entries(config: Config, section: str) -> Iterator[tuple[str, str | None]]:
    """The variants of a section that are shown, with the entry where each makes a job."""
    for name, variant in getattr(config, section).items():
        if _is_point(config, section, name):
            continue
        if section not in LISTED:
            yield name, None
            continue
        for each in getattr(variant, LISTED[section]):
            if not _is_point(config, LISTED[section], each):
                yield name, each


def _is_point(config: Config, section: str, name: str) -> bool:
    """Whether a variant is one of many that a sweep made, and not the first one of seeds alone."""
    point = config.points.get(section, {}).get(name)
    if point is None:
        return False
    return not point.sets_seeds_alone or name != points_of(config.points, section, point.base)[0]
