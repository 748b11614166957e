"""Published weights that do not fit what the config says of them, found before any job."""

import json

import pytest

from tessera.config.load import validate
from tessera.errors import UserError

VIT = {"width": 48, "depth": 4, "patch_size": 14}
VQGAN = {"resolution": 32, "multipliers": [1, 1, 2], "codes": 16}  # 8 x 8 codes
STAGE1 = {"vocabulary": 32, "length": 256, "classes": 10}
STAGE2 = {"vocabulary": 16, "length": 64, "prefix_vocabulary": 32, "prefix_length": 256}


@pytest.fixture
def fits(raw, tmp_path):
    """A function that validates a config of published weights of these sizes, some changed.

    The encoder's patches of 14 pixels make 256 tokens of its 224, the VQGAN 64 codes of its 32.
    """

    def validated(settings=None, model="GPT", **sizes):
        sizes = {"eye": VIT, "vqgan": VQGAN, "draw": STAGE1, "paint": STAGE2} | sizes
        for name, config in sizes.items():
            (tmp_path / name).mkdir(exist_ok=True)
            described = {"model": model if name == "paint" else "?", "config": config}
            (tmp_path / name / "model.json").write_text(json.dumps(described))
        (tmp_path / "km").mkdir(exist_ok=True)
        facts = {"facts": sizes.get("km", {"clusters": 32, "width": 48})}
        (tmp_path / "km" / "published.json").write_text(json.dumps(facts))

        def entry(name, **more):
            return {"kind": "published", "path": str(tmp_path / name)} | more

        config = {
            "data": raw["data"],
            "views": raw["views"],
            "encoders": {"eye": entry("eye")},
            "codebooks": {"km": entry("km", encoder="eye", layer=3, input_size=224)},
            "autoencoders": {"vqgan": entry("vqgan")},
            "stage1": {"draw": entry("draw", codebook="km", class_conditional=True)},
            "stage2": {
                "paint": entry("paint", codebook="km", autoencoder="vqgan")
                | {"decoder": "autoregressive"}
            },
            "samplings": {"both": {"stage1": "draw", "stage2": "paint", "count": 1}},
        }
        for path, value in (settings or {}).items():
            section, name, field = path.split(".")
            config[section][name][field] = value
        return validate(config)

    return validated


def test_what_fits_passes(fits):
    """And so does what tells nothing, such as folders that are not imported yet."""
    fits()
    fits(eye={}, vqgan={}, draw={}, paint={}, km={})
    fits(model="MaskGIT", settings={"stage2.paint.decoder": "masked"})
    fits({"codebooks.km.path": "absent", "encoders.eye.path": "absent"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"km": {"clusters": 32, "width": 40}},
            r"codebooks\.km has centroids of width 40, but the features of encoders\.eye have 48",
        ),
        (
            {"settings": {"codebooks.km.input_size": 225}},
            r"codebooks\.km\.input_size \(225\) is no multiple of the patches of encoders\.eye \(",
        ),
        (
            {"draw": STAGE1 | {"vocabulary": 8}},
            r"stage1\.draw draws 8 different codes, but codebooks\.km has 32: name the tokenizer",
        ),
        (
            {"draw": STAGE1 | {"length": 64}},
            r"stage1\.draw draws 64 codes an image, but codebooks\.km makes 256: .*--length 256$",
        ),
        (
            {"draw": STAGE1 | {"classes": 0}},
            r"stage1\.draw\.class_conditional is true, but the model in .*draw has no classes",
        ),
        (
            {"settings": {"stage1.draw.class_conditional": False}},
            r"stage1\.draw\.class_conditional is false, but the model in .*draw has 10 classes",
        ),
        (
            {"paint": STAGE2 | {"prefix_vocabulary": 8}},
            r"stage2\.paint reads 8 different codes, but codebooks\.km has 32",
        ),
        (
            {"paint": STAGE2 | {"prefix_length": 64}},
            r"stage2\.paint reads 64 codes an image, .*km makes 256: .* --prefix-length 256$",
        ),
        (
            {"paint": STAGE2 | {"vocabulary": 1024}},
            r"stage2\.paint draws 1024 different codes, but autoencoders\.vqgan has 16",
        ),
        (
            {"vqgan": VQGAN | {"multipliers": [1, 2]}},
            r"stage2\.paint draws 64 codes an image, but autoencoders\.vqgan makes 256",
        ),
        (
            {"settings": {"stage2.paint.decoder": "masked"}},
            r"stage2\.paint\.decoder is masked, but .*paint was imported as GPT: correct it",
        ),
        ({"model": "MaskGIT"}, r"decoder is autoregressive, but .*paint was imported as MaskGIT"),
        (
            {"eye": {}, "km": {}, "draw": STAGE1 | {"length": 64}},
            r"samplings\.both: stage1\.draw draws 64 tokens an image, but stage2\.paint reads 256",
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence(fits, change, said):
    """Both sides and their sizes."""
    with pytest.raises(UserError, match=said) as caught:
        fits(**change)
    assert "\n" not in str(caught.value)


def test_sizes_of_trained_tokenizers_count_too(changed, tmp_path):
    """A published stage 1 over a codebook that is fitted here, of 8 clusters."""
    (tmp_path / "model.json").write_text(json.dumps({"config": {"vocabulary": 9}}))
    stage1 = {"kind": "published", "path": str(tmp_path), "class_conditional": True}
    with pytest.raises(UserError, match=r"stage1\.other draws 9 different codes, .*k8 has 8"):
        changed({"stage1.other": stage1 | {"codebook": "k8"}})
    with pytest.raises(UserError, match=r"draws 9 different codes, but .*vqgan has 16"):
        changed({"stage1.other": stage1 | {"codebook": None, "autoencoder": "vqgan"}})
    (tmp_path / "model.json").write_text(json.dumps({"config": {"length": 9}}))
    # 32 pixels, halved three times, in both directions: 4 x 4 codes.
    with pytest.raises(UserError, match=r"draws 9 codes an image, but .*vqgan makes 16"):
        changed({"stage1.other": stage1 | {"codebook": None, "autoencoder": "vqgan"}})
