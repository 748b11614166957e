"""Feature extractors of the fidelity metrics."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch_fidelity import FeatureExtractorInceptionV3

from tessera.errors import UserError
from tessera.metrics.extractors import (
    Extractor,
    classifier_extractor,
    extract,
    inception_extractor,
    weights_digest,
)
from tessera.metrics.inception import PASS
from tessera.models.classifier import Classifier, ClassifierConfig


@pytest.fixture
def extractor() -> Extractor:
    """An untrained classifier as extractor."""
    torch.manual_seed(0)
    return classifier_extractor(Classifier(ClassifierConfig(width=16, image_size=16)), "toy-cnn")


IMAGES = torch.randint(
    0, 256, (10, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
)


def test_classifier_layers(extractor: Extractor) -> None:
    """Features and logits are the classifier's own, on images divided by 255."""
    classifier = extractor.network.classifier
    seen = extract(extractor, IMAGES)
    torch.testing.assert_close(seen.features.float(), classifier.features(IMAGES / 255))
    torch.testing.assert_close(seen.logits.float(), classifier.logits(IMAGES / 255))
    assert len(seen) == 10
    assert not seen.features.requires_grad


def test_batches_change_nothing(extractor: Extractor) -> None:
    """Features do not depend on the batch, nor on the order of the images."""
    whole, parts = extract(extractor, IMAGES), extract(extractor, IMAGES, batch=3)
    torch.testing.assert_close(whole.features, parts.features, rtol=1e-5, atol=1e-6)
    backwards = extract(extractor, IMAGES.flip(0))
    torch.testing.assert_close(backwards.features.flip(0), whole.features, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1, 4, 10])
def test_a_set_may_come_in_pieces(extractor: Extractor, size: int) -> None:
    """Pieces of any size, from a generator that is read once, are the whole set."""
    whole = extract(extractor, IMAGES)
    done: list[int] = []
    pieces = (IMAGES[i : i + size] for i in range(0, 10, size))
    streamed = extract(extractor, pieces, batch=3, progress=done.append)
    torch.testing.assert_close(streamed.features, whole.features, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(streamed.logits, whole.logits, rtol=1e-5, atol=1e-6)
    assert done == sorted(set(done))
    assert done[-1] == 10
    with pytest.raises(UserError, match="the set is empty"):
        extract(extractor, iter(()))


def test_pieces_are_made_without_gradients(extractor: Extractor) -> None:
    """Like everything in the caller's thread; what holds for that says nothing of another one."""
    enabled = []

    def pieces() -> Iterator[torch.Tensor]:
        for start in (0, 5):
            enabled.append(torch.is_grad_enabled())
            yield IMAGES[start : start + 5]

    extract(extractor, pieces())
    assert enabled == [False, False]
    assert torch.is_grad_enabled()


def test_digest_tells_weights_apart(extractor: Extractor) -> None:
    """The digest ignores the order of the weights and sees one changed number."""
    state = extractor.network.classifier.state_dict()
    assert weights_digest(dict(reversed(state.items()))) == extractor.digest
    changed = {name: tensor.clone() for name, tensor in state.items()}
    changed["head.bias"][0] += 1e-3
    assert weights_digest(changed) != extractor.digest


def test_only_inception_may_be_called_so() -> None:
    """A classifier cannot take the name of Inception."""
    with pytest.raises(UserError, match="not Inception's"):
        classifier_extractor(Classifier(ClassifierConfig()), "inception-v3-compat")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES[:0], "the set is empty"),
        (IMAGES.float(), "must be uint8"),
        (IMAGES[:, :1], "must be uint8 of shape"),
    ],
)
def test_bad_images_are_refused(extractor: Extractor, images: torch.Tensor, message: str) -> None:
    """Empty sets, floats and grey images are the user's to mend."""
    with pytest.raises(UserError, match=message):
        extract(extractor, images)


def test_missing_inception_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file is an error, and nothing is fetched in its place."""
    monkeypatch.setattr("torch.hub.download_url_to_file", _no_network)
    with pytest.raises(UserError, match="do not exist"):
        inception_extractor(tmp_path / "weights.pth")


def test_wrong_inception_weights(tmp_path: Path) -> None:
    """A file with something else in it is an error that says so."""
    (tmp_path / "text.pth").write_text("no weights")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")
    for name in ("text.pth", "other.pth"):
        with pytest.raises(UserError, match="does not hold torch-fidelity's Inception"):
            inception_extractor(tmp_path / name)


@pytest.mark.slow
def test_inception_loads_a_local_file(
    inception_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights in torch-fidelity's layout load from the given file and give 2048 features."""
    monkeypatch.setattr("torch.hub.download_url_to_file", _no_network)
    digest = hashlib.sha256(inception_weights.read_bytes()).hexdigest()
    extractor = inception_extractor(inception_weights, digest)
    seen = extract(extractor, IMAGES[:2])
    assert (seen.features.shape, seen.logits.shape) == ((2, 2048), (2, 1008))
    own = FeatureExtractorInceptionV3(
        "own", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(inception_weights)
    )
    for expected, found in zip(own(IMAGES[:2]), (seen.features, seen.logits), strict=True):
        # Channels last round otherwise; by 3e-7 of the features' size, measured.
        assert (found - expected).norm() < 2e-6 * expected.norm()
    assert (extractor.name, extractor.digest) == ("inception-v3-compat", digest)
    assert seen.features.dtype == torch.float32


def test_another_network_of_torch_fidelity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose parts have another order is refused, and the file of weights is not blamed."""

    def build(network: torch.nn.Module, *_: object, **__: object) -> None:
        torch.nn.Module.__init__(network)
        for name in ("fc", *PASS):
            network.add_module(name, torch.nn.Identity())

    monkeypatch.setattr(FeatureExtractorInceptionV3, "__init__", build)
    torch.save({}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="Inception network of this torch-fidelity"):
        inception_extractor(tmp_path / "weights.pth")


@pytest.mark.slow
def test_inception_is_never_run_in_bfloat16(inception_weights: Path) -> None:
    """An autocast around the evaluation changes no feature."""
    extractor = inception_extractor(inception_weights)
    expected = extract(extractor, IMAGES[:2]).features
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(extract(extractor, IMAGES[:2]).features, expected)


def test_other_inception_weights_than_configured(tmp_path: Path) -> None:
    """The digest is compared before anything is read from the file."""
    (tmp_path / "weights.pth").write_bytes(b"weights")
    found = hashlib.sha256(b"weights").hexdigest()
    with pytest.raises(UserError, match=f"SHA-256 {found}, the config says {'0' * 64}"):
        inception_extractor(tmp_path / "weights.pth", "0" * 64)


def _no_network(*_: object, **__: object) -> None:
    """Fails the test that would download."""
    raise AssertionError("a download was attempted")
