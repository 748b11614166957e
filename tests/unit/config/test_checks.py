"""What must hold between variants, and the sentence where it does not."""

import pytest

from tessera.errors import UserError

TRAINING = "stage1.cond.training"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"tokens.codes.views": "none"}, r"^config: tokens\.codes\.views names 'none', .*views: "),
        (
            {"stage1.vq.tokens": "missing"},
            r"stage1\.vq\.tokens names 'missing', which is not in tokens: add it there, or choose "
            r"one of \['codes', 'semantic', 'semantic_16', 'shapes'\]$",
        ),
        ({"evaluations.digits.samplings": ["vq", "x"]}, r"digits\.samplings names 'x'"),
        ({"stabilities.noise.codebooks": ["k9"]}, r"noise\.codebooks names 'k9'"),
        ({"samplings.vq.stage2": "none"}, r"samplings\.vq\.stage2 names 'none'"),
        (
            {"views.digits.crop": 33},
            r"views\.digits\.crop \(33\) is larger than the image \(32\): lower it, or raise",
        ),
        ({"views.digits.resize": 24}, r"digits\.crop \(32\) is larger than the image \(24\)"),
        (
            {"codebooks.k8.clusters": 1001},
            r"codebooks\.k8\.clusters \(1001\) is more than the points of features\.dino \(1000\)",
        ),
        (
            {"samplings.cond_ar.stage1": "wide"},
            r"samplings\.cond_ar mixes vocabularies: stage1\.wide draws tokens of 'k16', "
            r"stage2\.ar reads tokens of 'k8': choose two of one codebook",
        ),
        (
            {"samplings.cond_ar.stage1": "vq"},
            r"samplings\.cond_ar mixes vocabularies: stage1\.vq draws tokens of 'vqgan'",
        ),
        (
            {"samplings.bare": {"stage1": "cond", "count": 1}},
            r"samplings\.bare draws semantic tokens and has no stage2 .*: set `stage2`$",
        ),
        (
            {
                "views.other": {"data": "digits", "crop": 32, "seed": 2},
                "tokens.other": {"views": "other", "autoencoder": "vqgan"},
                "stage2.ar.codes": "other",
            },
            r"stage2\.ar pairs tokens of other crops: 'semantic' has views 'digits', 'other' has "
            r"'other': give both the same",
        ),
        (
            {"autoencoders.vqgan.model.resolution": 40},
            r"vqgan\.model\.resolution \(40\) is not the crop of views\.digits \(32\)",
        ),
        (
            {"features.dino.layer": 9},
            r"features\.dino\.layer \(9, counted from the end\) is beyond the \d+ blocks .*: lower",
        ),
        (
            {"extractors.cnn.image_size": 64},
            r"extractors\.cnn\.image_size \(64\) is not the crop of views\.digits \(32\)",
        ),
        (
            {"views.small": {"data": "digits", "crop": 16}, "evaluations.digits.views": "small",
             "extractors.cnn.image_size": 16},
            r"evaluations\.digits compares images of 32 pixels .* with crops of 16",
        ),
        (
            {"evaluations.digits": {"extractor": "cnn", "samplings": ["vq"],
                                    "statistics": "adm.npz", "statistics_sha256": "0" * 64}},
            r"evaluations\.digits compares features of the classifier extractors\.cnn with "
            r"statistics, which are Inception's: name an extractor of kind inception",
        ),
        (
            {"views.small": {"data": "digits", "crop": 16},
             "extractors.small": {"kind": "classifier", "data": "digits", "image_size": 16},
             "neighbours.digits": {"extractor": "small", "views": "small", "samplings": ["vq"]}},
            r"neighbours\.digits compares images of 32 pixels \(samplings\.vq\) with crops of 16 "
            r"\(views\.small\): give it views of 32",
        ),
        (
            {"extractors.small": {"kind": "classifier", "data": "digits", "image_size": 16},
             "neighbours.digits": {"extractor": "small", "views": "digits", "samplings": ["vq"]}},
            r"image_size \(16\) is not the crop of views\.digits \(32\) that neighbours\.digits "
            r"compares with",
        ),
        (
            {"reconstructions.vqgan": {"autoencoder": "none", "views": "digits",
                                       "extractor": "cnn"}},
            r"reconstructions\.vqgan\.autoencoder names 'none', which is not in autoencoders",
        ),
        (
            {"views.small": {"data": "digits", "crop": 16},
             "reconstructions.vqgan": {"autoencoder": "vqgan", "views": "small",
                                       "extractor": "cnn"}},
            r"reconstructions\.vqgan gives crops of 16 pixels to autoencoders\.vqgan, which reads "
            r"32: use views of 32",
        ),
        (
            {"extractors.other": {"kind": "classifier", "data": "digits", "image_size": 16},
             "reconstructions.vqgan": {"autoencoder": "vqgan", "views": "digits",
                                       "extractor": "other"}},
            r"extractors\.other\.image_size \(16\) is not the crop of views\.digits \(32\) that "
            r"reconstructions\.vqgan compares with",
        ),
        (
            {"codebooks.vqgan": {"features": "dino", "clusters": 8},
             "stabilities.noise.codebooks": ["vqgan"]},
            r"stabilities\.noise names a codebook and an autoencoder .* 'vqgan': rename",
        ),
        ({"stage2.ar.semantic": "codes"}, r"stage2\.ar\.semantic names tokens of an autoencoder"),
        ({"stage2.ar.codes": "semantic"}, r"stage2\.ar\.codes names tokens of a codebook"),
        (
            {"probes.linear.stage1": ["uncond", "cond"]},
            r"probes\.linear\.stage1 names 'cond', which is given the class, .*: name uncond",
        ),
        (
            {"probes.linear.tokens": "codes"},
            r"probes\.linear\.tokens names tokens of autoencoders\.vqgan \('codes'\), but "
            r"stage1\.uncond draws those of codebooks\.k8: name tokens of that one",
        ),
        (
            {"stage1.published": {"kind": "published", "path": "p", "codebook": "k8",
                                  "class_conditional": False},
             "probes.linear.stage1": ["published"]},
            r"probes\.linear names no token set, .* published stage1\.published .*: set `tokens`",
        ),
        (
            {"stage1.published": {"kind": "published", "path": "p", "codebook": "k16",
                                  "class_conditional": False},
             "probes.linear.stage1": ["published"], "probes.linear.tokens": "semantic"},
            r"tokens of codebooks\.k8 \('semantic'\), but stage1\.published draws .*\.k16",
        ),
        (
            {"execution.stage1": {"micro_batch": 3}},
            r"stage1\.cond\.training\.batch \(8\) is not divisible by "
            r"execution\.stage1\.micro_batch \(3\): change one of them",
        ),
        ({"execution.default.micro_batch": 3}, r"training\.batch \(8\) is not divisible"),
        (
            {"execution.stage1": {"gpus": 3}},
            r"stage1\.cond\.training\.batch \(8\) cannot be cut into equal numbers of "
            r"micro-batches for 3 processes, one for each GPU of execution\.stage1: change",
        ),
        (
            {"execution.stage2": {"gpus": 2, "nodes": 2, "micro_batch": 4}},
            r"stage2\.ar\.training\.batch \(8\) .* micro-batches of 4 images for 4 processes",
        ),
        (
            {"execution.encoder": {"gpus": 2}},
            r"execution\.encoder gives 2 GPUs on 1 nodes to each job of encoder, which is one pro",
        ),
        ({"execution.tokens": {"nodes": 2}}, r"each job of tokens, which is one process: set gpus"),
    ],
)  # fmt: skip
def test_a_contradiction_is_one_sentence(changed, values, sentence):
    """Said before any compute, with both sides and the cure."""
    with pytest.raises(UserError, match=sentence) as caught:
        changed(values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {
            "views.digits.resize": 48,
            "views.digits.crop": 40,
            "autoencoders.vqgan.model.resolution": 40,
            "autoencoders.shapes.model": {"resolution": 32},
            "extractors.cnn.image_size": 40,
        },
        {"codebooks.k8.clusters": 1000},
        {
            "tokens.more": {"views": "digits", "codebook": "k8"},
            "probes.linear.tokens": "more",
            "probes.linear.stage1": ["uncond"],
        },
        {
            "stage1.published": {
                "kind": "published",
                "path": "p",
                "codebook": "k8",
                "class_conditional": False,
            },
            "probes.linear.stage1": ["uncond", "published"],
            "probes.linear.tokens": "semantic",
        },
        {"execution.stage1": {"micro_batch": 4}},
        {"execution.stage2": {"gpus": 2, "nodes": 2, "micro_batch": 1}},
        {"execution.probe": {"gpus": 3, "nodes": 5}},
        {
            "data.shapes.image_size": None,
            "views.shapes.crop": 504,
            "autoencoders.shapes.model": {"resolution": 504},
            "extractors.shapes.image_size": 504,
        },
    ],
    ids=[
        "a crop of enlarged images",
        "as many clusters as points",
        "a probe of other tokens",
        "a published model's probe",
        "half a batch",
        "a micro-batch for each process",
        "a probe shares any batch",
        "unknown size",
    ],
)
def test_what_fits_passes(changed, values):
    """The limits themselves are allowed, and what cannot be known is left to the stage."""
    changed(values)
