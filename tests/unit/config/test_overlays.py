"""Files laid over each other: what merges, what replaces, and what follows from it."""

import pytest

from tessera.config.load import validate
from tessera.config.overlays import extend, lay
from tessera.errors import UserError

FOLDER = {"kind": "folder", "path": "a", "in_place": True, "shards": {"train": 9}}
FITTED = {"features": "dino", "clusters": 8}
PUBLISHED = {"kind": "published", "path": "p", "codebook": "k", "class_conditional": False}
TRAINED = {"tokens": "t", "training": {"steps": 9, "batch": 3}}


@pytest.mark.parametrize(
    ("section", "below", "over"),
    [
        ("data", FOLDER, {"kind": "parquet", "train": "*.parquet"}),
        ("data", FOLDER, {"kind": "webdataset", "train": "*.tar"}),
        ("encoders", {"kind": "published", "path": "p"}, {"kind": "timm", "model": "vit"}),
        ("codebooks", FITTED, {"kind": "published", "path": "p", "encoder": "e"}),
        ("codebooks", {"kind": "published", "path": "p"}, {"kind": "fitted"} | FITTED),
        ("stage1", TRAINED, PUBLISHED),
        ("stage1", PUBLISHED, {"kind": "trained"} | TRAINED),
        ("stage2", {"kind": "masked"} | TRAINED, {"kind": "published", "path": "p"}),
        ("extractors", {"kind": "classifier", "steps": 3}, {"kind": "inception", "weights": "w"}),
    ],
)
def test_a_variant_of_another_kind_replaces_the_one_below(section, below, over):
    """The settings of the one mean nothing to the other; defaults are kinds as well."""
    laid = lay({section: {"other": below, "one": below}}, {section: {"one": over}})
    assert laid == {section: {"other": below, "one": over}}


@pytest.mark.parametrize(
    ("section", "below", "over"),
    [
        ("data", FOLDER, {"path": "b", "shards": {"validation": 2}}),
        ("data", FOLDER, {"kind": "folder", "path": "b"}),
        ("stage1", TRAINED, {"kind": "trained", "training": {"steps": 1}}),
        ("stage1", PUBLISHED, {"label": "a name alone"}),
        ("codebooks", FITTED, {"kind": "fitted", "clusters": 3}),
        ("stage2", {"kind": "masked"} | TRAINED, {"kind": "autoregressive"}),
        ("views", {"data": "a", "crop": 3}, {"crop": 4}),
    ],
)
def test_a_variant_of_the_same_settings_merges(section, below, over):
    """Kinds of one class among them, and one that says nothing of its kind."""
    merged = below | over
    for key in ("shards", "training"):
        if key in below and key in over:
            merged[key] = below[key] | over[key]
    assert lay({section: {"one": below}}, {section: {"one": over}}) == {section: {"one": merged}}


def test_a_kind_may_come_by_extends():
    """Of the variant below, and of the one that is laid over it."""
    below = {"stage2": {"ar": {"kind": "published", "path": "p"}, "nar": {"extends": "ar"}}}
    over = {"stage2": {"nar": {"kind": "masked", "codes": "c"}}}
    assert lay(below, over)["stage2"]["nar"] == {"kind": "masked", "codes": "c"}
    over = {"stage2": {"own": {"kind": "masked", "codes": "c"}, "nar": {"extends": "own"}}}
    assert lay(below, over)["stage2"]["nar"] == {"extends": "own"}
    over = {"stage2": {"nar": {"extends": "ar", "label": "x"}}}
    assert lay(below, over)["stage2"]["nar"] == {"extends": "ar", "label": "x"}


def test_heirs_of_what_is_replaced_or_off_keep_their_settings():
    """Without the label, which was not theirs; heirs of these extend them as before."""
    below = {
        "stage1": {
            "a": TRAINED | {"label": "A"},
            "b": {"extends": "a", "norm": "pre"},
            "c": {"extends": "b", "label": "C"},
            "d": {"extends": "e"},
            "e": TRAINED,
        }
    }
    whole = TRAINED | {"norm": "pre"}
    for over in (None, PUBLISHED):
        laid = lay(below, {"stage1": {"a": over, "b": {"seed": 1}}})["stage1"]
        assert laid == {
            "a": over,
            "b": whole | {"seed": 1},
            "c": {"extends": "b", "label": "C"},
            "d": {"extends": "e"},
            "e": TRAINED,
        }


@pytest.mark.parametrize("gone", [{}, {"a": None}, {"a": PUBLISHED}])
def test_what_happens_to_a_grandparent_detaches_nobody(gone):
    """The last of three follows the one in the middle, whatever becomes of the first."""
    below = {
        "stage1": {"a": TRAINED | {"seed": 1}, "b": {"extends": "a"}, "c": {"extends": "b"}},
    }
    laid = lay(below, {"stage1": gone | {"b": {"seed": 7}}})["stage1"]
    assert extend("stage1", "c", laid) == TRAINED | {"seed": 7}


def test_both_parents_gone():
    """All that they gave is kept."""
    below = {
        "stage1": {"a": TRAINED, "b": {"extends": "a", "norm": "pre"}, "c": {"extends": "b"}},
    }
    laid = lay(below, {"stage1": {"a": None, "b": None}})["stage1"]
    assert laid == {"a": None, "b": None, "c": TRAINED | {"norm": "pre"}}


def test_heirs_of_what_changes_follow_it():
    """`extends` is followed as long as there is something to follow."""
    below = {"stage1": {"a": TRAINED, "b": {"extends": "a"}}}
    laid = lay(below, {"stage1": {"a": {"training": {"steps": 1}}}})["stage1"]
    assert laid["b"] == {"extends": "a"}


def test_unknown_kinds_are_left_to_the_validation(changed, raw):
    """It names them."""
    laid = lay(raw, {"data": {"digits": {"kind": "digit"}}})
    with pytest.raises(UserError, match=r"data\.digits\.kind is 'digit'"):
        validate(laid)


def test_a_config_stays_valid(raw):
    """The whole example with folders in the place of digits, and one stage switched off."""
    over = {"data": {"digits": {"kind": "folder", "path": "p", "image_size": 32}}}
    config = validate(lay(raw, over))
    assert config.data["digits"].model_dump(include={"kind", "path", "image_size"}) == {
        "kind": "folder", "path": "p", "image_size": 32,
    }  # fmt: skip
