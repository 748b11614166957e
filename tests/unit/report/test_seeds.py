"""Variants that differ in seeds alone are one family."""

import pytest

from tessera.config.points import Point
from tessera.report import seeds
from tessera.report.collection import Collection
from tessera.report.seeds import Family, Spread

POINTS = {
    "samplings": {
        "a_seed_1": Point("a", {"seed": 1}),
        "a_seed_2": Point("a", {"stage1.gpt.training.seed": 2}),
        "b_1": Point("b", {"seed": 1, "semantic.top_k": 5}),
        "b_2": Point("b", {"seed": 2, "semantic.top_k": 5}),
        "b_3": Point("b", {"seed": 1, "semantic.top_k": 9}),
        "c": Point("c", {"codebooks.k.clusters": 8}),
    }
}
LABELS = {
    "samplings": {
        "a_seed_1": "AR, seed 1",
        "a_seed_2": "AR, training seed 2",
        "b_1": "AR, seed 1, top-k 5",
        "b_3": "AR, seed 1, top-k 9",
    }
}
CARDS = Collection([], LABELS, POINTS)


def family(name: str) -> Family:
    """The family of a sample set."""
    return seeds.family(CARDS, "samplings", name)


def test_families():
    """Seeds do not count, all other settings do; what no sweep made is alone."""
    assert family("a_seed_1") == family("a_seed_2") == Family("a")
    assert family("b_1") == family("b_2") != family("b_3")
    assert family("plain") == Family("plain")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a_seed_1", False), ("b_1", True), ("c", False), ("plain", False)],
)
def test_points_of_a_sweep_over_filters(name, expected):
    """Seeds and codebooks are none."""
    assert seeds.is_swept_over_filters(CARDS, name) == expected


def test_labels_without_seeds():
    """Families of one label are told apart by their base."""
    assert seeds.label(CARDS, "samplings", "a_seed_1") == "AR"
    assert seeds.label(CARDS, "samplings", "a_seed_2") == "AR"
    assert seeds.label(CARDS, "samplings", "b_3") == "AR, top-k 9"
    assert seeds.label(CARDS, "samplings", "plain") == "plain"
    shown = {Family("a"): "a_seed_1", Family("x"): "a_seed_2", Family("plain"): "plain"}
    assert list(seeds.distinct_labels(CARDS, "samplings", shown).values()) == [
        "AR (a)", "AR (x)", "plain",
    ]  # fmt: skip


def test_spread_by_hand():
    """The deviation is that of a sample; a single number has none."""
    found = seeds.spread([1.0, 2.0, 6.0])
    assert (found.mean, found.count) == (3.0, 3)
    assert found.std == pytest.approx(7**0.5)
    assert seeds.spread([2.5]) == Spread(2.5, None, 1)


def test_cells():
    """A single number is left as it is."""
    assert seeds.cells("fid", [3]) == {"fid": 3}
    assert seeds.cells("fid", [1.0, 3.0]) == {"fid": 2.0, "fid std": pytest.approx(2**0.5)}
