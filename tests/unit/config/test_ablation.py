"""An ablation names what is there and measured, or one sentence says what is wrong."""

import copy

import pytest
from tests.unit.report.conftest import RAW

from tessera.config.load import validate
from tessera.config.overlays import lay
from tessera.config.resolve import collecting_node, config_digest
from tessera.errors import UserError
from tessera.report.outputs import figure_names, table_names


def config(evaluation: str = "digits", samplings=("vq", "cond_ar"), **more):
    """A config with an ablation."""
    rows = [{"sampling": name, "label": f"step {name}"} for name in samplings]
    return validate(
        lay(RAW, {"paper": {"ablation": {"evaluation": evaluation, "rows": rows}}} | more)
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"evaluation": "digit"},
            "paper.ablation.evaluation names 'digit', which is not in evaluations: name 'digits'",
        ),
        (
            {"samplings": ("vq", "cond_arr")},
            "paper.ablation.rows.1.sampling names 'cond_arr', which is not in samplings: name "
            "'cond_ar'",
        ),
        (
            {"evaluations": {"digits": {"samplings": ["vq"]}}},
            "rows.1.sampling names 'cond_ar', which evaluations.digits does not measure: add it",
        ),
        ({"samplings": ("vq",)}, "paper.ablation.rows"),
    ],
)
def test_a_wrong_ablation(given, said):
    """Before anything is computed, with the cure."""
    with pytest.raises(UserError) as caught:
        config(**given)
    assert said in str(caught.value)


def test_the_cure_without_an_ablation(tmp_path):
    """What the sentence offers, laid over it, is a config."""
    raw = lay(RAW, {"paper": {"ablation": {"evaluation": "x", "rows": [{"sampling": "vq"}] * 2}}})
    with pytest.raises(UserError, match=r"`paper: \{ablation: null\}`"):
        validate(raw)
    off = validate(lay(raw, {"paper": {"ablation": None}}))
    assert "ablation" not in table_names(off) + figure_names(off)


def test_a_sweep_over_seeds_stands_for_all_of_them():
    """And one over anything else for nothing: its points are other steps."""
    raw = copy.deepcopy(RAW)
    rows = [{"sampling": "vq"}, {"sampling": "cond_ar"}]
    raw["paper"] = {"ablation": {"evaluation": "digits", "rows": rows}}
    raw["samplings"]["vq"]["sweep"] = {"seed": [1, 2]}
    assert validate(raw).paper.ablation.rows[0].sampling == "vq"
    raw["samplings"]["vq"]["sweep"] = {"seed": [1, 2], "semantic.top_k": [5]}
    with pytest.raises(
        UserError,
        match=r"rows\.0\.sampling names 'vq', which is swept over more than seeds: name one of its "
        "points: vq_seed_1_top_k_5, vq_seed_2_top_k_5; or make no ablation",
    ):
        validate(raw)


def test_seeds_below_evaluation_and_samplings():
    """Each point of the evaluation measures the samplings of its own seed alone."""
    raw = copy.deepcopy(RAW)
    rows = [{"sampling": "vq"}, {"sampling": "cond_ar"}]
    raw["paper"] = {"ablation": {"evaluation": "digits", "rows": rows}}
    raw["data"]["digits"]["sweep"] = {"seed": [0, 1]}
    measured = {name: it.samplings for name, it in validate(raw).evaluations.items()}
    assert "vq_seed_1" in measured["digits_seed_1"]
    assert "vq_seed_0" not in measured["digits_seed_1"]
    raw["evaluations"]["digits"]["samplings"] = ["cond_ar"]
    with pytest.raises(UserError, match=r"'vq', which evaluations\.digits_seed_0 does not measure"):
        validate(raw)


def test_a_change_reruns_tables_and_figures_alone():
    """It is in their nodes and in the digest of the config, and in no other node."""
    plain, one, other = validate(RAW), config(), config(samplings=("cond_nar", "cond_ar"))
    for stage in ("tables", "figures"):
        nodes = [collecting_node(it, stage) for it in (plain, one, other)]
        assert nodes[0]["settings"] == {}
        assert nodes[1] != nodes[2]
    assert len({config_digest(it) for it in (plain, one, other)}) == 3
    assert {"ablation"} == set(table_names(one)) - set(table_names(plain))
    assert {"ablation"} == set(figure_names(one)) - set(figure_names(plain))
