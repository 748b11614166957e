"""Variant → node → canonical JSON: equal exactly when the numbers are."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tessera.config import lock, resolve
from tessera.config.base import references, tracked_fields
from tessera.config.canonical import canonical_json
from tessera.config.load import validate
from tessera.config.resolve import config_digest, node, settings_text
from tessera.config.schema import STAGE_OF
from tessera.config.training import TrainedStage1


def texts(config) -> dict[str, str]:
    """The settings of every job of a config."""
    found = {}
    for section in STAGE_OF:
        for name, variant in getattr(config, section).items():
            entries = [None]
            for field, reference in references(type(variant)).items():
                if reference.each:
                    entries = list(getattr(variant, field))
            for each in entries:
                found[f"{section}/{name}/{each}"] = settings_text(config, section, name, each)
    return found


def test_a_node_holds_its_stage_settings_and_inputs(changed):
    """Down to the images."""
    made = node(changed(), "codebooks", "k8")
    assert made["stage"] == "codebook"
    assert made["version"] == lock.stage_versions()["codebook"]
    assert made["settings"] == {"kind": "fitted", "clusters": 8, "iterations": 20, "seed": 4}
    features = made["inputs"]["features"]
    assert features["stage"] == "features"
    assert features["inputs"]["encoder"]["inputs"]["data"]["settings"]["kind"] == "digits"
    assert "stage" not in features["inputs"]["views"]


def test_settings_hold_no_reference_and_no_untracked_field(changed):
    """Names of variants, labels and hardware stand nowhere in a node."""
    config = changed({"stage1.cond.label": "Our GPT", "data.digits.max_corrupt_share": 0.123})
    assert not {"label", "tokens"} & set(tracked_fields(TrainedStage1))
    for text in texts(config).values():
        assert "Our GPT" not in text
        assert '"label"' not in text
        assert "0.123" not in text
        assert "max_corrupt_share" not in text
        assert "threads" not in text


def test_the_order_of_keys_is_irrelevant(raw):
    """The text is the same, whatever order a file has."""

    def reverse(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: reverse(value[key]) for key in reversed(value)}
        return value

    assert texts(validate(reverse(raw))) == texts(validate(raw))


def test_a_variant_renamed_is_the_same_variant(changed):
    """A name is a folder; the node tells what was computed."""
    config = changed({"codebooks.same": {"features": "dino", "clusters": 8, "seed": 4}})
    assert settings_text(config, "codebooks", "same") == settings_text(config, "codebooks", "k8")


def test_exchanged_values_differ(changed):
    """Snakemake compares values as a set; one text keeps their places."""
    one = changed({"samplings.vq.count": 5, "samplings.vq.seed": 6})
    before = settings_text(one, "samplings", "vq")
    assert before != settings_text(
        changed({"samplings.vq.count": 6, "samplings.vq.seed": 5}), "samplings", "vq"
    )


def test_a_list_that_makes_jobs_is_in_none_of_them(changed):
    """One more entry changes no old job; each job holds the node of its own entry."""
    before = settings_text(changed(), "evaluations", "digits", "vq")
    config = changed({"evaluations.digits.samplings": ["cond_nar", "vq"]})
    assert settings_text(config, "evaluations", "digits", "vq") == before
    made = json.loads(settings_text(config, "evaluations", "digits", "cond_nar"))
    assert made["inputs"]["samplings"] == node(config, "samplings", "cond_nar")
    assert "samplings" not in made["settings"]


def test_a_list_that_makes_one_job_is_in_it(changed):
    """Stability compares its tokenizers in one job, by name."""
    made = node(changed(), "stabilities", "noise")
    assert set(made["inputs"]["codebooks"]) == {"k8"}
    assert set(made["inputs"]["autoencoders"]) == {"vqgan"}


def test_a_stage_of_its_own_wraps_the_variant(changed):
    """The export of a sample set has its own version and the set's node as its input."""
    config = changed()
    made = json.loads(settings_text(config, "samplings", "vq", stage="samples"))
    assert made["stage"] == "samples"
    assert made["inputs"] == {"samplings": node(config, "samplings", "vq")}


def test_a_version_is_part_of_all_nodes_below(changed, monkeypatch):
    """Raising a stage's version changes that stage and what reads it."""
    config = changed()
    before = texts(config)
    versions = lock.stage_versions() | {"codebook": 99}
    monkeypatch.setattr(resolve, "stage_versions", lambda: versions)
    moved = {name.split("/")[0] for name, text in texts(config).items() if text != before[name]}
    below = {"codebooks", "tokens", "stage1", "stage2", "samplings", "evaluations", "probes"}
    assert moved == below | {"neighbours", "stabilities", "patches"}


def settings_of(model, prefix: str = "") -> Iterator[str]:
    """The paths of a variant's tracked settings."""
    yield from (prefix + field for field in tracked_fields(type(model)))


def test_every_tracked_setting_is_in_the_node(changed):
    """Nothing that changes numbers is forgotten, in any section."""
    config = changed()
    for section in STAGE_OF:
        for name, variant in getattr(config, section).items():
            made = node(config, section, name)
            wanted = set(settings_of(variant)) - YOUNGER.get(section, set())
            assert set(made["settings"]) == wanted, (section, name)


YOUNGER = {"codebooks": {"points"}, "samplings": {"precision"}}
"""Settings that came after results had been made without them, by section."""


def test_a_setting_that_came_later_is_in_the_node_where_it_is_set(changed):
    """Without it a variant has the node of old, and so do those below; with it they differ."""
    before = texts(changed())
    assert texts(changed({"codebooks.k8.points": None})) == before
    made = node(changed({"codebooks.k8.points": 640}), "codebooks", "k8")
    assert made["settings"]["points"] == 640
    now = texts(changed({"codebooks.k8.points": 640}))
    moved = {name for name in before if now[name] != before[name]}
    assert {"codebooks/k8/None", "tokens/semantic/None"} <= moved
    assert not {"codebooks/k16/None", "features/dino/None", "tokens/codes/None"} & moved


@pytest.mark.parametrize(
    ("values", "same"),
    [
        ({"stage1.cond.label": "x"}, True),
        ({"log_every": 3, "checkpoint_every": 4, "title": "A title"}, True),
        ({"execution.default.threads": 5}, True),
        ({"stage1.cond.training.learning_rate": "0.001"}, True),
        ({"stage1.cond.training.learning_rate": 2e-3}, False),
        ({"views.digits.flip": True}, False),
        ({"probes.linear.stage1": ["uncond"]}, False),
        ({"samplings.more": {"stage1": "vq", "count": 1}}, False),
        ({"results": "elsewhere"}, False),
    ],
)
def test_the_digest_of_a_config_stands_for_its_numbers(changed, raw, values, same):
    """What the guard compares: labels and hardware may change while jobs run."""
    before = config_digest(validate(raw))
    assert (config_digest(changed(values)) == before) is same


def test_canonical_json_is_one_text():
    """Sorted keys, no spaces; NaN has no JSON."""
    assert canonical_json({"b": [1, 2.5], "a": {"d": None, "c": True}}) == (
        '{"a":{"c":true,"d":null},"b":[1,2.5]}'
    )
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json(float("nan"))
