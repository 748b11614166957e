"""Sweeps: which variants they become, under which names, and what is swept along."""

import copy
import re

import pytest

from tessera.config.base import NAME, references
from tessera.config.jobs import jobs
from tessera.config.kinds import SECTIONS, classes, settings_class
from tessera.config.load import validate
from tessera.config.overlays import lay
from tessera.config.points import Point, number, short_words, value_word
from tessera.config.reference import settings_page
from tessera.config.resolve import config_digest, node, settings_text
from tessera.config.schema import Config
from tessera.config.sweep_points import LIMIT
from tessera.errors import UserError

TOP_K = {"semantic.top_k": [5, 10, None]}
CLUSTERS = {"clusters": [16, 32]}


def made(config: Config, section: str, base: str) -> dict[str, Point]:
    """The points of a swept variant."""
    points = config.points.get(section, {})
    return {name: point for name, point in points.items() if point.base == base}


# ---------------------------------------------------------------------------------------- points


def test_a_grid_becomes_a_variant_a_point(changed):
    """In place of the swept one, in the order of the list."""
    config = changed({"samplings.vq.sweep": TOP_K, "evaluations.digits.samplings": ["cond_ar"]})
    names = ["vq_top_k_5", "vq_top_k_10", "vq_top_k_none"]
    assert list(config.samplings) == ["cond_ar", "cond_nar", *names, "shapes"]
    assert [config.samplings[name].semantic.top_k for name in names] == [5, 10, None]
    assert all(config.samplings[name].count == 10 for name in names)
    assert config.points == {
        "samplings": {
            name: Point("vq", {"semantic.top_k": value})
            for name, value in zip(names, [5, 10, None], strict=True)
        }
    }


def test_several_axes_are_a_full_grid(changed):
    """Settings beside the swept ones of a map stay."""
    config = changed(
        {"samplings.cond_ar.sweep": {"semantic.temperature": ["1e-1", 0.8], "seed": [1, 2]}}
    )
    assert {n: p.settings for n, p in made(config, "samplings", "cond_ar").items()} == {
        "cond_ar_seed_1_temperature_0p1": {"semantic.temperature": 0.1, "seed": 1},
        "cond_ar_seed_2_temperature_0p1": {"semantic.temperature": 0.1, "seed": 2},
        "cond_ar_seed_1_temperature_0p8": {"semantic.temperature": 0.8, "seed": 1},
        "cond_ar_seed_2_temperature_0p8": {"semantic.temperature": 0.8, "seed": 2},
    }
    drawn = config.samplings["cond_ar_seed_2_temperature_0p1"]
    assert (drawn.semantic.temperature, drawn.semantic.top_k, drawn.seed) == (0.1, 4, 2)


def test_a_list_gives_the_points_themselves(changed):
    """A point says its own settings alone."""
    sweep = [{"semantic.top_k": 5}, {"semantic.top_p": 0.8}, {"semantic.top_k": 9, "seed": 3}]
    config = changed({"samplings.vq.sweep": sweep, "samplings.vq.semantic": {"temperature": 0.5}})
    points = made(config, "samplings", "vq")
    assert {name: dict(point.settings) for name, point in points.items()} == {
        "vq_top_k_5": {"semantic.top_k": 5},
        "vq_top_p_0p8": {"semantic.top_p": 0.8},
        "vq_seed_3_top_k_9": {"semantic.top_k": 9, "seed": 3},
    }
    assert config.samplings["vq_top_p_0p8"].semantic.top_k is None
    assert config.samplings["vq_top_p_0p8"].semantic.temperature == 0.5


def test_a_point_is_what_the_variant_would_be_that_is_written_out(raw):
    """The same node, so that one may take the place of the other without a run."""
    plain = copy.deepcopy(raw)
    plain["samplings"]["vq_top_k_5"] = {"extends": "vq", "semantic": {"top_k": 5}}
    raw["samplings"]["vq"]["sweep"] = TOP_K
    written, swept = validate(plain), validate(raw)
    assert node(swept, "samplings", "vq_top_k_5") == node(written, "samplings", "vq_top_k_5")


def test_a_new_point_renames_none_and_makes_its_own_jobs_alone(raw):
    """Names and nodes of the others stay."""
    before, after = copy.deepcopy(raw), raw
    before["samplings"]["vq"]["sweep"] = {"semantic.top_k": [5, 10]}
    after["samplings"]["vq"]["sweep"] = {"semantic.top_k": [1, 5, 10]}
    old, new = ({(j.card, settings(j)) for j in jobs(validate(r))} for r in (before, after))
    assert not {card for card, _ in old - new} - {"results/tables/card.json",
                                                  "results/figures/card.json",
                                                  "results/index.json"}  # fmt: skip
    assert {card for card, _ in new - old if "vq_top_k_1" in card}
    assert all("vq_top_k_1/" in card or "vq_top_k_1.json" in card or "results/" + card.split("/")[1]
               in ("results/tables", "results/figures", "results/index.json")
               for card, _ in new - old)  # fmt: skip


def settings(job) -> str:
    return repr(job.node)


# ----------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (5, "5"),
        (50_000, "50000"),
        (0.8, "0p8"),
        (2.0, "2"),
        (1e-5, "1em05"),
        ("1e-4", "0p0001"),
        (-1, "m1"),
        (None, "none"),
        (True, "true"),
        ("Masked-NAR", "masked_nar"),
        ([0.9, 0.98], "0p9_0p98"),
    ],
)
def test_a_value_in_a_name(value, word):
    """By hand; each is a word of a name."""
    assert value_word(value) == word


@pytest.mark.parametrize(
    ("text", "value"), [("1e-4", 1e-4), ("7", 7), ("masked", "masked"), (0.5, 0.5), (None, None)]
)
def test_a_number_that_yaml_reads_as_text(text, value):
    """Is the number in reports."""
    assert number(text) == value


def test_words_are_as_short_as_they_can_be():
    """The last word of a path, or more of it where another path ends alike."""
    semantic, codes = ("semantic", "top_k"), ("codes", "top_k")
    training, own = ("stage1", "gpt", "training", "seed"), ("seed",)
    assert short_words([semantic, codes, training, own]) == {
        semantic: "semantic_top_k",
        codes: "codes_top_k",
        training: "training_seed",
        own: "seed",
    }
    assert short_words([semantic, own]) == {semantic: "top_k", own: "seed"}


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_a_sweeps_keys_changes_nothing(changed, order):
    """Neither names nor the order of the points."""
    axes = dict([("seed", [2, 1]), ("codes.top_k", [3])][::order])
    points = [dict([("seed", 5), ("semantic.top_k", 9)][::order])]
    config = changed({"samplings.cond_ar.sweep": axes, "samplings.vq.sweep": points})
    assert list(config.points["samplings"]) == [
        "cond_ar_top_k_3_seed_2",
        "cond_ar_top_k_3_seed_1",
        "cond_nar_top_k_3_seed_2",
        "cond_nar_top_k_3_seed_1",
        "vq_seed_5_top_k_9",
    ]


def test_a_name_of_200_characters_is_no_mistake(changed):
    """The most that there may be: `vq_seed_` and 192 digits."""
    (name,) = made(changed({"samplings.vq.sweep": {"seed": [10**191]}}), "samplings", "vq")
    assert len(name) == 200


def test_labels_say_the_point(changed):
    """After the label of the swept variant, or its name; no result depends on it."""
    config = changed(
        {
            "samplings.cond_ar.label": "DiGIT + AR",
            "samplings.cond_ar.sweep": {"semantic.top_k": [5000], "codes.top_p": [0.8, None]},
            "codebooks.k16.sweep": CLUSTERS,
        }
    )
    labels = [config.samplings[name].label for name in made(config, "samplings", "cond_ar")]
    assert labels == [
        "DiGIT + AR, top-p 0.8, top-k 5,000",
        "DiGIT + AR, top-p all, top-k 5,000",
    ]
    assert config.stage1["wide_clusters_32"].label == "wide, clusters 32"


# -------------------------------------------------------------------------------- swept along


def test_what_names_a_swept_variant_is_swept_along(changed):
    """Down to the models, and lists take all points."""
    config = changed({"codebooks.k16.sweep": CLUSTERS})
    along = {"codebooks.k16.clusters": 16}
    assert made(config, "codebooks", "k16")["k16_clusters_16"] == Point("k16", {"clusters": 16})
    assert made(config, "tokens", "semantic_16")["semantic_16_clusters_16"].settings == along
    assert made(config, "stage1", "wide")["wide_clusters_16"] == Point("wide", along)
    assert config.tokens["semantic_16_clusters_32"].codebook == "k16_clusters_32"
    assert config.stage1["wide_clusters_32"].tokens == "semantic_16_clusters_32"
    assert config.probes["linear"].stage1 == ("uncond", "wide_clusters_16", "wide_clusters_32")
    assert "samplings" not in config.points


def test_one_axis_is_joined_and_not_crossed(changed):
    """A sampling whose stages both stand on a swept codebook: each number of clusters once."""
    config = changed(
        {
            "codebooks.k8.sweep": {"clusters": [4, 8]},
            "stage1.cond.sweep": {"training.seed": [0, 1]},
            "samplings.cond_ar.sweep": {"seed": [7]},
            "samplings.cond_nar": {"extends": "cond_ar", "stage2": "nar", "sweep": None},
        }
    )
    found = {
        name: (config.samplings[name].stage1, config.samplings[name].stage2)
        for name in made(config, "samplings", "cond_ar")
    }
    assert found == {
        f"cond_ar_clusters_{k}_training_seed_{seed}_seed_7": (
            f"cond_clusters_{k}_seed_{seed}",
            f"ar_clusters_{k}",
        )
        for k in (4, 8)
        for seed in (0, 1)
    }
    assert config.points["samplings"]["cond_ar_clusters_4_training_seed_1_seed_7"].settings == {
        "codebooks.k8.clusters": 4,
        "stage1.cond.training.seed": 1,
        "seed": 7,
    }
    assert len(made(config, "samplings", "cond_nar")) == 4


def test_a_list_takes_the_points_that_belong_to_its_own(changed):
    """A probe of swept tokens: of each number of clusters the model of that number."""
    config = changed({"codebooks.k16.sweep": CLUSTERS,
                      "probes.linear": {"stage1": ["wide"], "tokens": "semantic_16"}})  # fmt: skip
    assert {name: probe.stage1 for name, probe in config.probes.items()} == {
        "linear_clusters_16": ("wide_clusters_16",),
        "linear_clusters_32": ("wide_clusters_32",),
    }


def test_a_tuple_of_names_takes_all_points(changed):
    """A stability compares them in one job."""
    config = changed(
        {"codebooks.k16.sweep": CLUSTERS, "stabilities.noise.codebooks": ["k8", "k16"]}
    )
    assert config.stabilities["noise"].codebooks == ("k8", "k16_clusters_16", "k16_clusters_32")
    assert list(config.stabilities) == ["noise"]


def test_a_sweep_over_a_reference(changed):
    """Over names, of which one may be swept itself."""
    config = changed(
        {"codebooks.k16.sweep": CLUSTERS, "stage1.wide.sweep": {"tokens": ["semantic_16", "codes"]}}
    )
    assert {name: model.tokens for name, model in config.stage1.items() if "wide" in name} == {
        "wide_clusters_16_tokens_semantic_16": "semantic_16_clusters_16",
        "wide_clusters_32_tokens_semantic_16": "semantic_16_clusters_32",
        "wide_tokens_codes": "codes",
    }
    assert config.points["stage1"]["wide_tokens_codes"].settings == {"tokens": "codes"}


def test_a_single_point_may_be_named(changed):
    """By its whole name; what names it is not swept along, and a list has it once."""
    config = changed(
        {
            "codebooks.k16.sweep": CLUSTERS,
            "tokens.semantic_16.codebook": "k16_clusters_32",
            "samplings.vq.sweep": TOP_K,
            "evaluations.digits.samplings": ["vq_top_k_10", "vq"],
        }
    )
    assert config.stage1["wide"].tokens == "semantic_16"
    assert list(config.points) == ["codebooks", "samplings"]
    assert config.evaluations["digits"].samplings == ("vq_top_k_10", "vq_top_k_5", "vq_top_k_none")


@pytest.mark.parametrize("names", [["vq", "vq", "cond_ar"], ["vq", "cond_ar", "cond_ar", "vq"]])
def test_what_a_list_names_twice_is_in_it_once(changed, names):
    """A sweep and a variant alike: each makes one job."""
    config = changed(
        {"samplings.vq.sweep": {"seed": [1, 2]}, "evaluations.digits.samplings": names}
    )
    assert config.evaluations["digits"].samplings == ("vq_seed_1", "vq_seed_2", "cond_ar")


def test_every_section_names_those_before_it():
    """What expansion from the first section to the last relies on."""
    for place, section in enumerate(SECTIONS):
        for kind in classes(section) or [None]:
            for reference in references(settings_class(section, kind)).values():
                assert reference.section in SECTIONS[:place], section


# ------------------------------------------------------------------------- heirs, overlays, off


def test_heirs_are_swept_as_well(changed):
    """`sweep` is inherited as all maps are; null ends it, of an axis or whole."""
    config = changed(
        {
            "samplings.vq.sweep": TOP_K,
            "samplings.more": {"extends": "vq", "sweep": {"seed": [1, 2]}},
            "samplings.other": {"extends": "vq", "sweep": {"semantic.top_k": None, "seed": [1]}},
            "samplings.plain": {"extends": "vq", "sweep": None},
        }
    )
    assert len(made(config, "samplings", "more")) == 6
    assert list(made(config, "samplings", "other")) == ["other_seed_1"]
    assert "plain" in config.samplings


def test_an_overlay_gives_another_list(raw):
    """Lists replace."""
    raw["samplings"]["vq"]["sweep"] = TOP_K
    over = {"samplings": {"vq": {"sweep": {"semantic.top_k": [3]}}}}
    assert list(made(validate(lay(raw, over)), "samplings", "vq")) == ["vq_top_k_3"]
    none = {"samplings": {"vq": {"sweep": None}}}
    assert "vq" in validate(lay(raw, none)).samplings


def test_a_point_may_be_switched_off(raw):
    """Alone, with those that are swept along with it."""
    raw["codebooks"]["k16"]["sweep"] = {"clusters": [16, 32, 64]}
    config = validate(lay(raw, {"codebooks": {"k16_clusters_32": None}}))
    assert list(config.codebooks) == ["k8", "k16_clusters_16", "k16_clusters_64"]
    assert config.probes["linear"].stage1 == ("uncond", "wide_clusters_16", "wide_clusters_64")


@pytest.mark.parametrize(
    "off",
    [
        {"k16": None},
        {"k16_clusters_16": None, "k16_clusters_32": None},
    ],
)
def test_a_whole_sweep_that_is_off_takes_along_what_needs_it(raw, off):
    """Whether the variant is switched off or each of its points."""
    raw["codebooks"]["k16"]["sweep"] = CLUSTERS
    with pytest.raises(UserError, match=r"`tokens: \{semantic_16: null\}`.*`stage1: \{wide: null"):
        validate(lay(raw, {"codebooks": off}))


def test_what_is_to_be_switched_off_is_said_as_it_is_written(raw):
    """Swept variants by their names in the file, not by those of all of their points."""
    raw["stage1"]["wide"]["sweep"] = {"training.seed": [0, 1]}
    raw["stage1"]["uncond"]["sweep"] = {"training.seed": [0, 1]}
    with pytest.raises(UserError) as caught:
        validate(lay(raw, {"tokens": {"semantic_16": None}}))
    assert "`stage1: {wide: null}`, `probes: {linear: {stage1: [uncond]}}`" in str(caught.value)


# ------------------------------------------------------------------------------------- mistakes

VQ = "samplings.vq.sweep"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {VQ: {"semantic.topk": [5, 6]}},
            r"samplings\.vq_topk_5\.semantic\.topk is no known setting: did you mean 'top_k'\? "
            r"\(vq_topk_5 is a point of the swept samplings\.vq\) \(1 more problem after this",
        ),
        ({VQ: {"sematic.top_k": [5]}}, r"sematic is no known setting: did you mean 'semantic'"),
        ({VQ: {"count.x": [5]}}, r"vq\.sweep names 'count\.x', but count is 10 and holds no set"),
        ({VQ: {"seed": [0, -1]}}, r"vq_seed_m1\.seed: .*\(it is -1\).* point of the swept"),
        ({VQ: {"seed": []}}, r"vq\.sweep\.seed lists no value: give one or more"),
        ({VQ: []}, r"vq\.sweep lists no point: give one or more"),
        ({VQ: {"seed": 3}}, r"vq\.sweep\.seed must be a list of values, got 3: write `\[3\]`"),
        ({VQ: 3}, r"vq\.sweep is 3, which is no sweep: write a map from settings to lists"),
        ({VQ: [{}]}, r"vq\.sweep is a list, and \{\} in it is no point"),
        ({VQ: ["seed"]}, r"vq\.sweep is a list, and 'seed' in it is no point"),
        ({VQ: {"seed": [1, 1]}}, r"vq\.sweep has two points that set the same \(seed: 1\)"),
        ({VQ: {"seed": [1, "1"]}}, r"vq\.sweep has two points that set the same \(seed: 1\)"),
        ({VQ: [{"seed": 1, "count": 2}, {"count": 2, "seed": 1}]}, r"same \(count: 2, seed: 1\)"),
        ({VQ: {"seed": [10**16, 1e16]}}, r"vq\.sweep has two points that set the same"),
        ({VQ: {"stage1": ["A b", "a_B"]}}, r"two points .* 'vq_stage1_a_b': give each of them"),
        ({VQ: {"label": ["a"]}}, r"vq\.sweep names 'label', which makes no other result"),
        ({VQ: {"label.x": ["a"]}}, r"vq\.sweep names 'label\.x', which makes no other result"),
        ({VQ: [{"extends.y": "a"}]}, r"vq\.sweep names 'extends\.y', which makes no other result"),
        ({VQ: {1: [2]}}, r"vq\.sweep has the key 1, which YAML does not read as text: name a set"),
        ({VQ: {None: [2]}}, r"vq\.sweep has the key null, which YAML does not"),
        ({VQ: {True: [2], "seed": [1]}}, r"vq\.sweep has the key true, which YAML does not"),
        ({VQ: [{False: 2}]}, r"vq\.sweep has the key false, which YAML does not"),
        ({VQ: {"semantic": [{"top_k": 3}]}}, r"\.semantic is given a map .* `semantic\.top_k`"),
        ({VQ: {"semantic": {"top_k": [3]}}}, r"\.semantic is given a map .* `semantic\.top_k`"),
        ({VQ: [{"semantic": {"top_k": 3}}]}, r"\.semantic is given a map .* `semantic\.top_k`"),
        (
            {VQ: {"semantic.top_p": [0.5, 0.9], "semantic": [None]}},
            r"vq\.sweep sweeps 'semantic' and 'semantic\.top_p', which is a part of it: sweep one",
        ),
        ({VQ: [{"semantic": None}, {"semantic.top_p": 1}]}, r"'semantic' and 'semantic\.top_p'"),
        ({VQ: {"seed": [10**199]}}, r"called 'vq_seed_10+'… with 208 characters, and 200 are the"),
        ({"samplings": {7: {"sweep": {"seed": [1]}}}}, r"samplings\.7 .*: quote it"),
        ({VQ: {"seed": list(range(LIMIT + 1))}}, r"vq is swept to 1,001 points or more, and 1,000"),
        (
            {VQ: {"seed": [1]}, "samplings.vq_seed_1": {"extends": "cond_ar"}},
            r"samplings\.vq is swept to a variant called 'vq_seed_1', which is there already",
        ),
        (
            {VQ: {"stage1": ["cnd"]}},
            r"samplings\.vq_stage1_cnd\.stage1 names 'cnd', which is not in stage1: did you mean",
        ),
        (
            {"codebooks.k16.sweep": CLUSTERS,
             "samplings.vq.stage1": "wide", "stage2.wide": {"extends": "ar", "semantic": "other"},
             "codebooks.k9": {"extends": "k16", "clusters": 9, "sweep": None},
             "tokens.other": {"views": "digits", "codebook": "k9"},
             "samplings.vq.stage2": "wide"},
            r"samplings\.vq_clusters_16 mixes vocabularies",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(changed, values, said):
    """What is wrong, where, and what to do."""
    with pytest.raises(UserError, match=said) as caught:
        changed(values)
    assert "\n" not in str(caught.value)


def test_points_that_do_not_belong_together_are_none(raw):
    """Stage 1 of the one number of clusters, stage 2 of the other: nothing is left to draw."""
    raw["codebooks"]["k8"]["sweep"] = {"clusters": [4, 8]}
    off = {
        "stage1": {"cond_clusters_4": None},
        "stage2": {"ar_clusters_8": None, "nar_clusters_4": None},
    }
    with pytest.raises(UserError, match=r"cond_ar\.stage2 names the swept 'ar', no point of which"):
        validate(lay(raw, off))


# ------------------------------------------------------------------------------- where it is known


def test_points_are_no_setting(changed):
    """They are in no dump, no schema and no page; a copy has them."""
    config = changed({"samplings.vq.sweep": TOP_K})
    assert "points" not in config.model_dump()
    assert "points" not in Config.model_json_schema()["properties"]
    assert "`points` | " not in settings_page().partition("## `data`")[0]
    for copied in (config.model_copy(), copy.deepcopy(config)):
        assert copied.points == config.points


def test_the_guard_sees_the_points(raw):
    """A point that is added while jobs wait is another config."""
    digests = set()
    for values in ([5, 10], [5, 10, 20], [10, 5]):
        raw["samplings"]["vq"]["sweep"] = {"semantic.top_k": values}
        digests.add(config_digest(validate(raw)))
    assert len(digests) == 3  # an evaluation's list has an order


def test_names_are_names(changed):
    """Of all points of a config that sweeps whatever there is."""
    config = changed(
        {
            "samplings.vq.sweep": {"semantic.top_p": [0.25, "1e-3"], "seed": [1]},
            "stage1.wide.sweep": {"training.betas": [[0.9, 0.95]], "norm": ["pre", "post"]},
        }
    )
    names = [name for points in config.points.values() for name in points]
    assert len(names) == 4
    assert all(re.fullmatch(NAME, name) for name in names)
    assert settings_text(config, "stage1", "wide_norm_pre_betas_0p9_0p95")
