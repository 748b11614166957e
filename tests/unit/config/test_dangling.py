"""References that name nothing: the nearest name, and what a switched-off variant takes along."""

import re

import pytest
import yaml

from tessera.config.load import validate
from tessera.config.overlays import lay
from tessera.errors import UserError


def sentence(raw, over) -> str:
    with pytest.raises(UserError) as caught:
        validate(lay(raw, over))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"stage1": {"vq": {"tokens": "coeds"}}}, "not in tokens: did you mean 'codes'?"),
        ({"samplings": {"vq": {"stage2": "masked"}}}, "add it there, or choose one of ['ar', 'nar"),
        ({"stabilities": {"noise": {"codebooks": ["k88"]}}}, "did you mean 'k8'?"),
    ],
)
def test_a_misspelt_name(raw, over, said):
    """The nearest one, or all there are."""
    assert said in sentence(raw, over)


@pytest.mark.parametrize(
    "off",
    [
        {"stage2": {"nar": None}},
        {"stage2": {"ar": None, "nar": None}},
        {"autoencoders": {"vqgan": None}},
        {"codebooks": {"k8": None}},
        {"encoders": {"dino": None}},
        {"data": {"digits": None}},
        {"stage1": {"uncond": None}},
    ],
    ids=lambda off: " ".join(f"{s}.{n}" for s in off for n in off[s]),
)
def test_what_is_needed_by_others_is_switched_off_with_them(raw, off):
    """What the sentence proposes, laid over it as well, is valid, and switches nothing else off."""
    said = sentence(raw, off)
    assert "is switched off in" in said
    proposed = {}
    for part in re.findall("`([^`]+)`", said):
        proposed |= yaml.safe_load(part)
    config = validate(lay(lay(raw, off), proposed))
    before = validate(raw)
    for section in off | proposed:
        both = off.get(section, {}) | proposed.get(section, {})
        gone = {name for name, entry in both.items() if entry is None}
        assert set(getattr(config, section)) == set(getattr(before, section)) - gone
    # Each thing that it proposes is needed: without it, a reference names nothing.
    for section, variants in proposed.items():
        for name in variants:
            fewer = proposed | {section: {n: e for n, e in variants.items() if n != name}}
            with pytest.raises(UserError):
                validate(lay(lay(raw, off), fewer))


def test_a_list_without_what_is_off(raw):
    """The rest of it stays; by hand."""
    said = sentence(raw, {"samplings": {"vq": None}})
    assert said.endswith(
        "names 'vq', which is switched off in samplings: name another, or switch off what needs it "
        "too, with `evaluations: {digits: {samplings: [cond_ar]}}`"
    )


ABLATION = {"evaluation": "digits", "rows": [{"sampling": "vq"}, {"sampling": "cond_ar"}]}


@pytest.mark.parametrize(
    ("off", "falls"),
    [
        ({"samplings": {"vq": None}}, True),
        ({"extractors": {"cnn": None}}, True),
        ({"data": {"digits": None}}, True),
        ({"stage2": {"nar": None}}, False),
    ],
    ids=["row", "evaluation", "all", "neither"],
)
def test_an_ablation_falls_with_what_it_shows(raw, off, falls):
    """The overlay makes none where it must, and with it the config is valid."""
    raw["paper"] = {"ablation": ABLATION}
    said = sentence(raw, off)
    proposed = {}
    for part in re.findall("`([^`]+)`", said):
        proposed |= yaml.safe_load(part)
    assert ("paper" in proposed) == falls
    assert proposed.pop("paper", {"ablation": None}) == {"ablation": None}
    over = lay(proposed, {"paper": {"ablation": None}} if falls else {})
    assert (validate(lay(lay(raw, off), over)).paper.ablation is None) == falls


def test_an_ablation_stays_while_a_seed_of_each_row_does(raw):
    """And falls with the last one."""
    raw["paper"] = {"ablation": ABLATION}
    raw["samplings"]["vq"]["sweep"] = {"seed": [1, 2]}
    raw["evaluations"]["digits"]["samplings"] = ["vq_seed_1", "vq_seed_2", "cond_ar"]
    assert "paper:" not in sentence(raw, {"samplings": {"vq_seed_1": None}})
    both = {"samplings": {"vq_seed_1": None, "vq_seed_2": None}}
    assert "`paper: {ablation: null}`" in sentence(raw, both)
