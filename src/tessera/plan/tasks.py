"""The jobs of a config, as far as their cost goes, and what they wait for."""

from collections.abc import Mapping

from tessera.config.base import Variant, references
from tessera.config.jobs import COLLECTING, EXPORTS, INDEX, LISTED, places
from tessera.config.schema import STAGE_OF, Config
from tessera.plan.cost import Task

SECTIONS = {stage: section for section, stage in STAGE_OF.items()} | {
    stage: section for section, stage in EXPORTS.items()
}
"""Stage → the section of its variants; the stage `published` has several."""
WILDCARDS = {"data": "data"} | {
    section: stage for section, stage in STAGE_OF.items() if section != "data"
}
"""Section → the wildcard that names its variants in the rules."""


def tasks(config: Config) -> list[tuple[Task, str]]:
    """All jobs of the full target with their cards, each after those that it needs.

    Args:
        config: the validated config.

    Raises:
        UserError: the images are in files of which none is found.
    """
    return [
        (Task(job.stage, job.section, job.name, job.each, job.split, job.parts), job.card)
        for job in places(config)
    ]


def task_of(config: Config, stage: str, wildcards: Mapping[str, str]) -> Task:
    """The job that a rule's wildcards name.

    Args:
        config: the validated config.
        stage: the rule's stage.
        wildcards: of the rule.
    """
    if stage in COLLECTING:
        return Task(stage, "", "")
    if stage in SECTIONS:
        section = SECTIONS[stage]
    else:
        section = next(section for section, word in WILDCARDS.items() if word in wildcards)
    name = wildcards[WILDCARDS[section]]
    each = None
    if section in LISTED:
        each = wildcards[WILDCARDS[LISTED[section]]]
    parts = int(wildcards.get("parts", 1))
    return Task(stage, section, name, each, wildcards.get("split"), parts)


USAGE = "usage"
"""Counts the codes of a token set: alone among the jobs of a variant, only tables and figures
wait for it."""


def makes(task: Task) -> tuple[str, str]:
    """What a job is one of the makers of, as `needs` names it: section and name of its variant."""
    own = task.stage in (USAGE, *COLLECTING)
    return (task.stage if own else task.section, task.name)


def needs(config: Config, task: Task) -> set[tuple[str, str]]:
    """The variants whose jobs a job waits for: sections and names.

    Those that it names; what they are made of is there when they are.
    """
    if not task.section:
        everything = {(section, name) for section in STAGE_OF for name in getattr(config, section)}
        everything |= {(USAGE, name) for name in config.tokens}
        if task.stage == INDEX:
            everything |= {(stage, "") for stage in COLLECTING if stage != INDEX}
        return everything
    found: set[tuple[str, str]] = set()
    if task.stage in EXPORTS.values():
        found.add((task.section, task.name))
    variant: Variant = getattr(config, task.section)[task.name]
    for field, reference in references(type(variant)).items():
        value = getattr(variant, field)
        names = value if isinstance(value, tuple) else (value,)
        for name in (task.each,) if reference.each else names:
            if name is not None and reference.section == "views":
                found.add(("data", config.views[name].data))
            elif name is not None:
                found.add((reference.section, name))
    return found
