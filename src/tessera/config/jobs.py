"""The jobs of a config: which stage makes which part of which variant, and what it is made of.

The rules say how a job runs; this says which jobs there are, without Snakemake. A test holds both
to the same set.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tessera.config.paths import SPLITS, Paths
from tessera.config.resolve import Node, collecting_node, node, stage_node
from tessera.config.schema import PUBLISHED, STAGE_OF, Config, stage_of
from tessera.errors import UserError


@dataclass(frozen=True)
class Place:
    """One job of the full target: what it makes, and where its card lies.

    Attributes:
        stage: the stage that the job runs.
        section: the section of the variant that it makes; empty for tables, figures
            and the index page, which are of no variant.
        name: the variant's name; empty likewise.
        each: the entry of the variant's list, where each entry is a job (a sampling of an
            evaluation, a stage-1 model of a probe).
        split: the split of the images, where each split has jobs of its own ("train" or
            "validation").
        part: the job's part, from 0.
        parts: the jobs that share the work.
        card: the card that the job writes last.
    """

    stage: str
    section: str
    name: str
    each: str | None
    split: str | None
    part: int
    parts: int
    card: str


@dataclass(frozen=True)
class Planned(Place):
    """One job of the full target, with what it is made of.

    Attributes:
        node: the settings that the job is given; parts of one variant share it.
    """

    node: Node

    @property
    def label(self) -> str:
        """How the job is called: its rule, its variant, its part.

        Such as "stage1/cond", "evaluation/fid/cond" or "tokens/codes/train/0001-of-0004".
        """
        rule = self.stage
        if rule == PUBLISHED:  # one rule a section, since names are unique in a section alone
            rule = f"{PUBLISHED}_{STAGE_OF[self.section]}"
        words = [rule, self.name, self.each or "", self.split or ""]
        if self.stage in PARTED:
            words.append(f"{self.part:04d}-of-{self.parts:04d}")
        return "/".join(word for word in words if word)


PARTED = ("features", "tokens", "sampling")
"""Stages that several jobs share, a part of the variant each."""

INDEX = "index"
"""The stage that shows what the others collected."""

COLLECTING = ("tables", "figures", INDEX)
"""Stages that are of no variant: they read the cards of all other jobs."""

EXPORTS = {"tokens": "usage", "samplings": "samples"}
"""Sections over all parts of whose variants a further stage goes: that stage."""

LISTED = {"evaluations": "samplings", "neighbours": "samplings", "probes": "stage1"}
"""Sections whose variants are made by a job for each entry of a list: that list."""


def jobs(config: Config, strict: bool = True) -> list[Planned]:
    """All jobs of the full target, each after those that it needs.

    Args:
        config: the validated config.
        strict: otherwise jobs are left out whose source files are not there: a run may ask for
            others.

    Raises:
        UserError: source files that the config names are not there.
    """
    made: dict[tuple[str, str, str, str | None], Node | None] = {}
    found: list[Planned] = []
    for place in places(config):
        key = (place.stage, place.section, place.name, place.each)
        if key not in made:
            try:
                made[key] = node_of(config, *key)
            except UserError:
                if strict:
                    raise
                made[key] = None
        known = made[key]
        if known is not None:
            found.append(Planned(**vars(place), node=known))
    return found


def node_of(config: Config, stage: str, section: str, name: str, each: str | None) -> Node:
    """What a job is made of.

    Args:
        config: the validated config.
        stage: as in `Place`, like all that follow.
        section: the section.
        name: the variant.
        each: the entry of its list.

    Raises:
        UserError: source files that the config names are not there.
    """
    if stage == INDEX:
        above = (one for one in COLLECTING if one != INDEX)
        return stage_node(stage, {one: node_of(config, one, "", "", None) for one in above})
    if stage in COLLECTING:
        return collecting_node(config, stage)
    made = node(config, section, name, each)
    return stage_node(stage, {section: made}) if stage in EXPORTS.values() else made


def places(config: Config) -> Iterator[Place]:
    """All jobs of the full target, known before there are images or weights.

    Args:
        config: the validated config.

    Yields:
        Each after those that it needs.

    Raises:
        UserError: the images are in files, by which parts are counted, and none is found.
    """
    paths = Paths(config)
    for section in STAGE_OF:
        for name in getattr(config, section):
            yield from _of_variant(paths, section, name)
    for stage in COLLECTING:
        yield Place(stage, "", "", None, None, 0, 1, card_of_collecting(paths, stage))


def _of_variant(paths: Paths, section: str, name: str) -> Iterator[Place]:
    """The jobs that make one variant."""
    variant = getattr(paths.config, section)[name]
    if section == "extractors" and variant.kind == "inception":
        return  # a file, which no job makes
    stage = stage_of(section, variant)
    if section in LISTED:
        for each in getattr(variant, LISTED[section]):
            yield Place(stage, section, name, each, None, 0, 1, paths.pair(section, name, each))
        return
    if stage not in PARTED:
        yield Place(stage, section, name, None, None, 0, 1, paths.card(section, name))
        return
    for split in SPLITS if section == "tokens" else (None,):
        cards = paths.cards(section, name, split or "train")
        for part, card in enumerate(cards):
            yield Place(stage, section, name, None, split, part, len(cards), card)
    if section in EXPORTS:
        card = _card_of_export(paths, section, name)
        yield Place(EXPORTS[section], section, name, None, None, 0, 1, card)


def card_of_collecting(paths: Paths, stage: str) -> str:
    """The card of a stage that is of no variant; that of the index page lies beside the page."""
    return str(paths.root / (f"{stage}.json" if stage == INDEX else f"{stage}/card.json"))


def _card_of_export(paths: Paths, section: str, name: str) -> str:
    if section == "tokens":
        return str(paths.root / "usage" / name / "card.json")
    return paths.card(section, name)
