"""Feature extractors of the fidelity metrics, with the interface of torch-fidelity 0.4.

An extractor maps uint8 images to the features of the Fréchet and kernel distances and of precision
and recall, and to the logits of the classifier score. Nothing here touches the network: weights
are given by the caller or read from a local file.

Shapes: N images, B batch, D features, K classes.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tessera.data.threads import read_ahead
from tessera.errors import UserError
from tessera.io.published import require_digest
from tessera.metrics.inception import FEATURES, LOGITS, Inception
from tessera.metrics.library import FeatureExtractorBase
from tessera.metrics.names import INCEPTION
from tessera.models.classifier import Classifier


@dataclass(frozen=True)
class Extractor:
    """A network that turns images into features, and what tells it from any other.

    Attributes:
        name: name that every number computed over it carries.
        digest: SHA-256 of its weights (of the file for Inception).
        network: frozen torch-fidelity extractor in evaluation mode; `to()` moves it.
        feature_layer: layer of distances, precision and recall.
        score_layer: layer of logits for the classifier score.
    """

    name: str
    digest: str
    network: FeatureExtractorBase
    feature_layer: str
    score_layer: str


@dataclass(frozen=True)
class Features:
    """What an extractor says about a set of images.

    Attributes:
        features: [N, D].
        logits: [N, K].
    """

    features: Tensor
    logits: Tensor

    def __len__(self) -> int:
        """Number of images N."""
        return len(self.features)


class ClassifierFeatures(FeatureExtractorBase):
    """Our classifier as an extractor of torch-fidelity, registrable there under any name.

    Outputs are float64, for the statistics alone: in float32 the covariance products of nearly
    equal sets leave errors of the order of the distance itself.
    """

    def __init__(
        self, name: str, features_list: list[str], classifier: Classifier, **kwargs: Any
    ) -> None:
        super().__init__(name, list(features_list))
        self.classifier = classifier

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        """Names of the layers."""
        return ("features", "logits")

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        """The logits for the classifier score, the penultimate features otherwise."""
        return "logits" if metric == "isc" else "features"

    @staticmethod
    def can_be_compiled() -> bool:
        """Not compiled: the network is too small to gain."""
        return False

    @torch.no_grad()
    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Layers in the order of `features_list`, for uint8 images [B, C, H, W]."""
        features = self.classifier.features(images.float() / 255)
        layers = {"features": features, "logits": self.classifier.head(features)}
        return tuple(layers[name].double() for name in self.features_list)


def classifier_extractor(classifier: Classifier, name: str) -> Extractor:
    """Wraps a trained classifier.

    Args:
        classifier: trained network; switched to evaluation mode and frozen.
        name: its name in results, such as `digits-cnn`.

    Raises:
        UserError: the name is that of Inception, whose numbers it would pass for.
    """
    if "inception" in name.lower() or not name.strip():
        raise UserError(
            f"the extractor cannot be named {name!r}: choose a name that is not Inception's"
        )
    network = ClassifierFeatures(name, ["features", "logits"], classifier)
    network.eval().requires_grad_(False)
    return Extractor(name, weights_digest(classifier.state_dict()), network, "features", "logits")


def inception_extractor(weights: Path | str, sha256: str | None = None) -> Extractor:
    """Inception-v3 as in the original TensorFlow graph, ported by torch-fidelity.

    Args:
        weights: local copy of `weights-inception-2015-12-05-6726825d.pth` of torch-fidelity's
            release 0.2.0; never downloaded here.
        sha256: digest that the file must have; None takes any.

    Raises:
        UserError: the file is missing, has another digest, or holds something else; or this
            torch-fidelity has another network.
    """
    path = Path(weights)
    if not path.is_file():
        raise UserError(
            f"the Inception weights {path} do not exist: put torch-fidelity's "
            "weights-inception-2015-12-05-6726825d.pth there or choose another extractor"
        )
    digest = require_digest(path, sha256 or "")
    try:
        # torch-fidelity unpickles without a check, so the file is first read with one.
        torch.load(path, map_location="cpu", weights_only=True)
        network = Inception(INCEPTION, str(path))
    except UserError:
        raise
    except Exception as error:  # unpickling garbage raises almost anything
        raise UserError(
            f"the file {path} does not hold torch-fidelity's Inception weights: fetch "
            "weights-inception-2015-12-05-6726825d.pth again"
        ) from error
    return Extractor(INCEPTION, digest, network, FEATURES, LOGITS)


@torch.no_grad()
def extract(
    extractor: Extractor,
    images: Tensor | Iterable[Tensor],
    batch: int = 128,
    device: torch.device | str = "cpu",
    progress: Callable[[int], None] | None = None,
) -> Features:
    """Features and logits of a set of images; only these are kept in memory.

    Args:
        extractor: the network; moved to `device`.
        images: uint8 [N, 3, H, W] on any device, or such pieces of the set one after the other.
            Another thread takes the pieces from their iterator while the network runs: making
            them must run no network.
        batch: images a forward pass; changes the result by rounding at most.
        device: where the network runs, always in float32.
        progress: called with the number of images done, after each pass.

    Raises:
        UserError: the set is empty, or no set of RGB bytes.
    """
    collector = Collector(extractor, device)
    pieces = [images] if isinstance(images, Tensor) else images
    for part in read_ahead(_parts(pieces, batch, device)):
        collector.add(part)
        if progress is not None:
            progress(len(collector))
    return collector.features()


@torch.no_grad()  # once more: it holds for a thread, and another one takes the parts
def _parts(pieces: Iterable[Tensor], batch: int, device: torch.device | str) -> Iterator[Tensor]:
    for piece in pieces:
        for part in piece.split(batch):
            yield _ready(part, device)


def _ready(images: Tensor, device: torch.device | str) -> Tensor:
    """The images where a GPU can fetch them while it works."""
    fetched = torch.device(device).type == "cuda" and images.device.type == "cpu"
    return images.pin_memory() if fetched else images


@torch.no_grad()
def see(extractor: Extractor, images: Tensor, device: torch.device | str) -> Features:
    """One forward pass: features and logits on `device`, in the order of the images.

    Args:
        extractor: the network; moved to `device`.
        images: uint8 [B, 3, H, W] on any device.
        device: where the network runs, always in float32.

    Raises:
        UserError: these are no RGB bytes.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise UserError(
            f"images to evaluate must be uint8 of shape [N, 3, H, W], not {images.dtype} of "
            f"{list(images.shape)}: convert them first"
        )
    network = extractor.network.to(device).eval()
    images = images.to(device, non_blocking=images.is_pinned())
    with _full_precision(device):
        outputs = network.convert_features_tuple_to_dict(network(images))
    return Features(outputs[extractor.feature_layer], outputs[extractor.score_layer])


HELD = 32
"""Batches whose features wait on a GPU: fetching each at once would let it run dry every time."""


class Collector:
    """Gathers the features of a set of images that comes batch by batch, on the CPU.

    Args:
        extractor: the network; moved to `device`.
        device: where it runs.
    """

    def __init__(self, extractor: Extractor, device: torch.device | str) -> None:
        self._extractor, self._device = extractor, device
        self._held: list[Features] = []
        self._fetched: list[Features] = []
        self._count = 0

    def __len__(self) -> int:
        """Images so far."""
        return self._count

    def add(self, images: Tensor) -> None:
        """Takes one batch, uint8 [B, 3, H, W] on any device.

        Raises:
            UserError: these are no RGB bytes.
        """
        if not len(images):
            return
        seen = see(self._extractor, images, self._device)
        self._held.append(seen)
        self._count += len(images)
        if len(self._held) == HELD:
            self._fetch()

    def features(self) -> Features:
        """Those of all images so far.

        Raises:
            UserError: there were none.
        """
        if not self._count:
            raise UserError(
                "there are no images to evaluate: the set is empty, so sample some first"
            )
        self._fetch()
        return _joined(self._fetched)

    def _fetch(self) -> None:
        if self._held:
            held = _joined(self._held)
            self._fetched.append(Features(held.features.cpu(), held.logits.cpu()))
            self._held = []


def _joined(pieces: Sequence[Features]) -> Features:
    return Features(
        torch.cat([piece.features for piece in pieces]), torch.cat([p.logits for p in pieces])
    )


@contextmanager
def _full_precision(device: torch.device | str) -> Iterator[None]:
    """Float32 as it is: no autocast, and no TF32, which a GPU would take for convolutions."""
    kind = torch.device(device).type
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.autocast(kind, enabled=False):
            yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def weights_digest(state: dict[str, Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes of a state dict, whatever its order."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
