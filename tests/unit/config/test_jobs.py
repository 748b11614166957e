"""The jobs of a config."""

from tessera.config.canonical import canonical_json
from tessera.config.jobs import jobs
from tessera.config.resolve import node, settings_text


def test_a_job_each_part_each_entry_and_each_export(changed):
    """A variant is one job, or one a part, or one an entry of its list; sample sets are joined."""
    labels = [job.label for job in jobs(changed())]
    assert len(labels) == len(set(labels))
    for label in (
        "shards/digits",
        "stage1/cond",
        "features/dino/0000-of-0001",
        "tokens/codes/train/0000-of-0002",
        "tokens/codes/train/0001-of-0002",
        "tokens/codes/validation/0000-of-0001",
        "sampling/vq/0001-of-0002",
        "samples/vq",
        "evaluation/digits/cond_ar",
        "evaluation/digits/vq",
        "probe/linear/wide",
        "tables",
        "figures",
        "index",
    ):
        assert label in labels


def test_a_job_knows_its_card_and_what_it_is_made_of(changed):
    """The card's place and the settings are those that the rules give."""
    config = changed()
    found = {job.label: job for job in jobs(config)}
    part = found["tokens/codes/train/0001-of-0002"]
    assert part.card == "results/tokens/codes/train/part-0001-of-0002.json"
    assert (part.section, part.split, part.part, part.parts) == ("tokens", "train", 1, 2)
    pair = found["evaluation/digits/vq"]
    assert pair.card == "results/evaluations/digits/vq.json"
    assert pair.node == node(config, "evaluations", "digits", "vq")
    export = found["samples/vq"]
    assert export.card == "results/samplings/vq/card.json"
    assert canonical_json(export.node) == settings_text(config, "samplings", "vq", stage="samples")


def test_a_job_stands_after_those_that_it_needs(changed):
    """So that the first that is stale is a cause and not a consequence."""
    labels = [job.label for job in jobs(changed())]
    for first, second in (
        ("shards/digits", "encoder/dino"),
        ("codebook/k8", "tokens/semantic/train/0000-of-0002"),
        ("stage2/nar", "sampling/cond_nar/0000-of-0002"),
        ("sampling/vq/0001-of-0002", "samples/vq"),
        ("samples/vq", "evaluation/digits/vq"),
        ("stability/noise", "tables"),
        ("figures", "index"),
    ):
        assert labels.index(first) < labels.index(second)


def test_a_file_of_inception_is_no_job(changed, tmp_path):
    """What an extractor's file holds is in the settings of the evaluations."""
    weights = tmp_path / "inception.pth"
    weights.touch()
    config = changed({"extractors.inception": {"kind": "inception", "weights": str(weights)}})
    assert not [job for job in jobs(config) if job.name == "inception"]


def test_published_weights_are_named_by_their_section(changed):
    """Names are unique in a section alone."""
    config = changed({"encoders.dino": {"kind": "timm", "model": "vit_small_patch8_224"}})
    assert "published_encoder/dino" in [job.label for job in jobs(config)]
