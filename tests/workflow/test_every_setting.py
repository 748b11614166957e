"""Each setting of each variant, changed alone: the cards that no longer tell of what is asked for.

Without Snakemake, and so without limits to their number: cards decide what runs again.
"""

import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from tests.workflow.expected import EVALUATIONS, PAPER, below

from tessera.config.base import references
from tessera.config.jobs import LISTED, jobs
from tessera.config.load import validate
from tessera.config.schema import STAGE_OF, Config
from tessera.reruns.outdated import outdated

UNTRACKED = {"label", "max_corrupt_share", "shards", "statistics_sha256"}
"""Settings of variants that never change a number."""

ELSEWHERE = {"kind", "path", "statistics"}
"""A kind has other settings, a path other files: tests of their own."""

OF_VIEWS = {
    "digits": [
        "features/dino",
        "autoencoder/vqgan",
        "neighbours/digits/cond_ar",
        "reconstruction/vqgan",
        "stability/noise",
        *EVALUATIONS[:2],
    ],
    "shapes": ["autoencoder/shapes", EVALUATIONS[2]],
}
"""Views, which no job makes → the jobs that read them first."""


def settings(model: BaseModel, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The places of all settings of a variant, those of nested maps too."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from settings(value, (*place, name))
        else:
            yield (*place, name)


def changed(model: BaseModel, place: tuple[str, ...]) -> BaseModel:
    """The same with one other setting, whether or not the other one makes sense."""
    name, *rest = place
    value = getattr(model, name)
    if rest:
        return model.model_copy(update={name: changed(value, tuple(rest))})
    return model.model_copy(update={name: other(value, type(model).model_fields[name].annotation)})


def other(value: Any, annotation: Any) -> Any:
    """Another value of a setting's type."""
    choices = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
    if typing.get_origin(annotation) is typing.Literal:
        return next(choice for choice in choices if choice != value)
    if value is None:
        if isinstance(choices[0], type) and issubclass(choices[0], BaseModel):
            return choices[0](size=32)
        literal = typing.get_args(choices[0])
        return literal[0] if literal else {int: 7, float: 0.7, str: "other"}[choices[0]]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, tuple):
        if value and isinstance(value[0], int | float):
            return (value[0] + 1, *value[1:])
        return value[1:] if len(value) > 1 else (*value, "other")
    assert isinstance(value, str)
    return f"{value}_other"


def expected(config: Config, section: str, name: str, place: tuple[str, ...]) -> set[str]:
    if place[0] in UNTRACKED:
        return set()
    if section == "views":
        return below(*OF_VIEWS[name]) - PAPER
    stage = STAGE_OF[section]
    if section in LISTED:
        each = getattr(getattr(config, section)[name], LISTED[section])
        return {f"{stage}/{name}/{entry}" for entry in each}
    return below(f"{stage}/{name}") - PAPER


def test_each_setting_outdates_what_it_concerns_and_nothing_else(raw):
    """All settings of all variants, one at a time, by the hand-drawn graph."""
    config = validate(raw)
    cards = {job.card: {"node": job.node} for job in jobs(config)}
    seen = 0
    for section in ("views", *STAGE_OF):
        for name, variant in getattr(config, section).items():
            for place in settings(variant):
                if place[0] in ELSEWHERE or place[0] in references(type(variant)):
                    continue
                edited = config.model_copy(
                    update={
                        section: getattr(config, section) | {name: changed(variant, place)},
                    }
                )
                found = {job.label for job in outdated(jobs(edited), cards)} - PAPER
                assert found == expected(config, section, name, place), (section, name, place)
                seen += 1
    assert seen > 300
