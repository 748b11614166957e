"""Settings of evaluations: one reference each, images or statistics."""

import pytest

from tessera.config.resolve import settings_text
from tessera.config.results import Evaluation
from tessera.errors import UserError

DIGEST = "0" * 64
INCEPTION = {"kind": "inception", "weights": "inception.pth", "sha256": "1" * 64}
STATISTICS = {
    "extractor": "inception",
    "statistics": "adm.npz",
    "statistics_sha256": DIGEST,
    "samplings": ["vq"],
}


def without(key: str, **more):
    """The settings of an evaluation against statistics, one of them left out."""
    return {k: v for k, v in STATISTICS.items() if k != key} | more


@pytest.fixture
def evaluations(changed):
    """Validates a config whose evaluation `adm` is as given."""
    return lambda adm: changed({"extractors.inception": INCEPTION, "evaluations.adm": adm})


def test_statistics_allow_fid_and_is(evaluations):
    """These are the default there; the images' default stays."""
    config = evaluations(STATISTICS)
    assert config.evaluations["adm"].metrics == ("fid", "is")
    assert config.evaluations["digits"].metrics == ("fid", "is", "kid", "prc")
    assert evaluations(STATISTICS | {"metrics": ["fid"]}).evaluations["adm"].metrics == ("fid",)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (STATISTICS | {"views": "digits"}, "name one reference: either views .* or statistics"),
        ({"extractor": "cnn", "samplings": ["vq"]}, "name one reference"),
        (without("statistics", views="digits"), "statistics_sha256 is the digest of a file"),
        (STATISTICS | {"split": "validation"}, "split belongs to views"),
        (STATISTICS | {"metrics": ["fid", "kid"]}, "kid needs the reference images"),
        (STATISTICS | {"statistics_sha256": "abc"}, r"adm\.statistics_sha256"),
    ],
)
def test_a_reference_that_is_none(evaluations, settings, sentence):
    """Refused before any compute, with its place."""
    with pytest.raises(UserError, match=sentence) as caught:
        evaluations(settings)
    assert "evaluations.adm" in str(caught.value)


def test_the_digest_tells_the_statistics(changed, tmp_path):
    """Where the file lies changes nothing; which one it is does."""
    texts = []
    for name, content in (("adm.npz", b"one"), ("moved.npz", b"one"), ("other.npz", b"another")):
        weights, statistics = tmp_path / "inception.pth", tmp_path / name
        weights.write_bytes(b"weights")
        statistics.write_bytes(content)
        adm = {"extractor": "inception", "statistics": str(statistics), "samplings": ["vq"]}
        inception = {"kind": "inception", "weights": str(weights)}
        config = changed({"extractors.inception": inception, "evaluations.adm": adm})
        texts.append(settings_text(config, "evaluations", "adm", "vq"))
    assert texts[0] == texts[1] != texts[2]
    assert "adm.npz" not in texts[0]


def test_numbers_may_be_given_as_before():
    """An evaluation against images needs no word more than it did."""
    made = Evaluation(extractor="cnn", views="digits", samplings=("vq",))
    assert (made.split, made.statistics) == ("train", None)
