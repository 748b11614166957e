"""Variant → the one text that says what it is made of.

A node holds a stage, the stage's version, the settings that make its numbers, and the nodes of the
variants it refers to, down to the images. As canonical JSON it is the only `params` value that a
rule has, so a job runs again exactly when something in its node changed: not when keys are put in
another order, nor when a label, a comment or a hardware knob changes. It is also the provenance
that a card records and, hashed with the digests of the inputs, the name of a training's resume
folder.
"""

from typing import Any

from tessera.config.base import Published, Variant, references, tracked_values
from tessera.config.canonical import canonical_json, sha256_json
from tessera.config.lock import stage_versions
from tessera.config.paper import Paper
from tessera.config.published import contents, sha256_of
from tessera.config.results import Evaluation, InceptionExtractor
from tessera.config.schema import STAGE_OF, Config, stage_of
from tessera.config.sources import source_state
from tessera.config.tokenizers import TimmEncoder
from tessera.errors import UserError

Node = dict[str, Any]


def node(
    config: Config, section: str, name: str, each: str | None = None, files: bool = True
) -> Node:
    """The node of one variant.

    Args:
        config: the validated config.
        section: the variant's section, such as "stage1".
        name: the variant's name.
        each: for a variant whose list makes a job an entry (an evaluation's samplings), the entry.
        files: look at the state of source folders, so that a replaced image is noticed.

    Returns:
        `{"stage", "version", "settings", "inputs"}`; `views`, which no stage makes, has no stage.
    """
    variant: Variant = getattr(config, section)[name]
    settings = tracked_values(variant)
    inputs: dict[str, Any] = {}
    for field, reference in references(type(variant)).items():
        value = getattr(variant, field)
        if reference.each:
            if each is not None:
                inputs[field] = node(config, reference.section, each, files=files)
        elif isinstance(value, tuple):
            inputs[field] = {
                entry: node(config, reference.section, entry, files=files) for entry in value
            }
        elif value is not None:
            inputs[field] = node(config, reference.section, value, files=files)
    if files and (state := state_of_files(section, name, variant)) is not None:
        inputs["files"] = state
    made: Node = {"settings": settings, "inputs": inputs}
    if section in STAGE_OF:
        stage = stage_of(section, variant)
        made |= {"stage": stage, "version": stage_versions()[stage]}
    return made


def state_of_files(section: str, name: str, variant: Variant) -> str | None:
    """What tells that a file which a variant names was replaced; None where it names none.

    Raises:
        UserError: a file is absent, or not the one that the config says.
    """
    try:
        if isinstance(variant, Published):
            return contents(variant.path, section)
        if isinstance(variant, TimmEncoder | InceptionExtractor):
            return variant.weights and sha256_of(variant.weights, variant.sha256)
        if isinstance(variant, Evaluation):
            return variant.statistics and sha256_of(variant.statistics, variant.statistics_sha256)
        return source_state(variant)
    except UserError as error:
        raise UserError(f"config: {section}.{name}: {error}") from error


def settings_text(
    config: Config, section: str, name: str, each: str | None = None, stage: str | None = None
) -> str:
    """The node as canonical JSON: what a rule's `params` hold.

    Args:
        config: the validated config.
        section: the variant's section.
        name: the variant's name.
        each: see `node`.
        stage: a further stage that works on the variant (the export of a sample set); it wraps
            the variant's node into one with its own version.
    """
    made = node(config, section, name, each)
    if stage is not None:
        made = stage_node(stage, {section: made})
    return canonical_json(made)


def stage_node(stage: str, inputs: dict[str, Any]) -> Node:
    """The node of a stage that has no settings of its own."""
    return {"stage": stage, "version": stage_versions()[stage], "settings": {}, "inputs": inputs}


def collecting_node(config: Config, stage: str) -> Node:
    """The node of a stage that reads the cards of all others, `tables` or `figures`.

    Its settings are what it takes from the config beside the cards: which sweeps made which
    variants, and its section `paper`. A config that says none of it has none of them.
    """
    settings: dict[str, Any] = {}
    if config.points:
        settings["points"] = {
            section: {
                name: {"base": it.base, "settings": it.settings} for name, it in found.items()
            }
            for section, found in config.points.items()
        }
    if config.paper != Paper():
        settings["paper"] = config.paper.model_dump(mode="json")
    return stage_node(stage, {}) | {"settings": settings}


def config_digest(config: Config) -> str:
    """Digest of everything that makes numbers, and of what is asked for."""
    nodes: dict[str, Any] = {
        "results": config.results, "paper": config.paper.model_dump(mode="json"),
    }  # fmt: skip
    for section in ("views", *STAGE_OF):
        variants: dict[str, Variant] = getattr(config, section)
        nodes[section] = {name: node(config, section, name, files=False) for name in variants}
        for name, variant in variants.items():
            for field, reference in references(type(variant)).items():
                if reference.each:
                    nodes[section][name][field] = list(getattr(variant, field))
    return sha256_json(nodes)
