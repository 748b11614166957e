"""What differs between two nodes, in the words of the config."""

from copy import deepcopy
from typing import Any

from tessera.config import sources
from tessera.config.jobs import Planned, jobs
from tessera.config.load import validate
from tessera.reruns.changes import Changes


def planned(raw: dict[str, Any], label: str) -> Planned:
    return next(job for job in jobs(validate(raw)) if job.label == label)


def words(raw: dict[str, Any], label: str, change, settled=()) -> list[str]:
    """What a job's card, written before a change of the config, is said to differ in."""
    card = planned(raw, label).node
    change(raw)
    return Changes(validate(raw), settled).of(planned(raw, label), card)


def test_a_setting_is_named_with_both_values_however_deep(raw):
    """Nested maps by the path of their keys; what did not change is not named."""

    def change(raw):
        raw["stage1"]["shapes"]["training"] = {"steps": 200, "clip": None}

    assert words(raw, "stage1/shapes", change) == [
        "stage1.shapes.training.steps: 100 → 200",
        "stage1.shapes.training.clip: 1.0 → null",
    ]


def test_a_change_has_one_text_in_all_jobs_below(raw):
    """So that it is told once, of the job that it begins with; twice on the way counts once."""

    def change(raw):
        raw["views"]["digits"]["seed"] = 2

    for label in ("features/dino/0000-of-0001", "samples/cond_ar", "evaluation/digits/cond_ar"):
        assert words(deepcopy(raw), label, change) == ["views.digits.seed: 1 → 2"]


def test_a_variant_of_another_kind_is_another_variant(raw):
    """Its settings have nothing to do with the former ones."""

    def change(raw):
        raw["encoders"]["dino"] = {"kind": "timm", "model": "vit_small_patch8_224"}

    assert words(raw, "codebook/k8", change) == ["encoders.dino.kind: trained → timm"]


def test_another_reference_is_told_by_the_names(raw):
    """Not by all that differs between the two variants."""

    def change(raw):
        raw["tokens"]["semantic"]["codebook"] = "k16"

    assert words(raw, "sampling/cond_ar/0000-of-0002", change) == [
        "tokens.semantic.codebook: k8 → k16"
    ]


def test_a_reference_to_what_is_gone_is_told_by_what_differs(raw):
    """The variant named now did not change: the one before it was another."""

    def change(raw):
        raw["tokens"]["semantic"]["codebook"] = "k16"
        raw["stabilities"]["noise"]["codebooks"] = ["k16"]
        del raw["codebooks"]["k8"]

    assert words(raw, "stage1/cond", change, settled={("codebooks", "k16")}) == [
        "tokens.semantic.codebook: k16 in place of another "
        "(codebooks.k16.clusters: 8 → 16; codebooks.k16.seed: 4 → 1234)"
    ]


def test_entries_of_a_list_come_and_go(raw):
    """The lists that one job reads, by name."""

    def change(raw):
        raw["stabilities"]["noise"] |= {"codebooks": ["k16"], "autoencoders": []}

    assert words(raw, "stability/noise", change) == [
        "stabilities.noise.codebooks: k16 is new",
        "stabilities.noise.codebooks: k8 is gone",
        "stabilities.noise.autoencoders: vqgan is gone",
    ]


def test_a_reference_that_is_given_up_is_told(raw):
    """The codes of a stage 2 become those of a stage 1."""

    def change(raw):
        raw["samplings"]["cond_ar"] = {"stage1": "vq", "count": 10, "seed": 7}
        del raw["samplings"]["cond_nar"]

    assert words(raw, "samples/cond_ar", change) == [
        "samplings.cond_ar.semantic.top_k: 4 → null",
        "samplings.cond_ar.stage1: cond → vq",
        "samplings.cond_ar.stage2: no longer set",
    ]


def test_replaced_files_are_told_without_their_digest(raw, tmp_path):
    """Nobody can read one."""

    def change(raw):
        (tmp_path / "images" / "disc" / "1.png").touch()
        sources.forget()

    assert words(raw, "tokens/shapes/train/0000-of-0001", change) == [
        "data.shapes: the files that it names were replaced"
    ]


def test_a_card_of_nothing_says_so(raw):
    """A node of an earlier layout has other parts."""
    job = planned(raw, "stage1/vq")
    assert Changes(validate(raw)).of(job, {"stage": "stage1"}) == [
        "stage1.vq: its card does not say what it was made of"
    ]
