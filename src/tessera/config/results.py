"""Settings of sampling, evaluation, linear probes and stability."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tessera.config.base import (
    Name,
    Reference,
    Settings,
    Variant,
    added,
    digest_field,
    untracked,
)
from tessera.config.data import Split


class AutoregressiveSampling(Settings):
    """How a code is drawn from its logits."""

    temperature: float = Field(1.0, ge=0, le=100, description="0 takes the likeliest code")
    top_k: int | None = Field(None, ge=1, description="keep the k likeliest codes; null: all")
    top_p: float | None = Field(
        None, gt=0, le=1, description="keep the likeliest codes up to this mass; wins over top_k"
    )


class MaskedSampling(Settings):
    """MaskGIT's parallel decoding (arXiv 2202.04200)."""

    steps: int = Field(8, ge=1, description="decoding steps")
    temperature: float = Field(1.0, gt=0, le=100, description="of the codes' draw")
    choice_temperature: float = Field(
        4.5, ge=0, description="of the Gumbel noise on the confidences, at the first step"
    )


class Sampling(Variant):
    """A set of generated images. Image i depends on the seed and i alone."""

    stage1: Annotated[Name, Reference("stage1")]
    stage2: Annotated[Name | None, Reference("stage2")] = None
    count: int = Field(ge=1, le=10_000_000, description="images")
    seed: int = Field(0, ge=0, description="seed of the draws")
    semantic: AutoregressiveSampling = Field(
        AutoregressiveSampling(), description="draws of stage 1"
    )
    codes: AutoregressiveSampling = Field(
        AutoregressiveSampling(), description="draws of an autoregressive stage 2"
    )
    masked: MaskedSampling = Field(MaskedSampling(), description="draws of a masked stage 2")
    precision: Literal["float32", "bfloat16"] = added(
        "float32",
        "weights, cache and products of stage 1 and 2, and weights and maps of the autoencoder's "
        "decoder; bfloat16 moves half as many bytes, which is faster on a GPU, and draws other "
        "images. Logits and draws stay float32",
    )


class ClassifierExtractor(Variant):
    """A small classifier trained on the training split; its results never carry FID's name."""

    kind: Literal["classifier"]
    data: Annotated[Name, Reference("data")]
    image_size: int = Field(ge=16, description="side of the centre crop that it sees, pixels")
    width: int = Field(64, ge=16, multiple_of=16, description="channels of its features")
    steps: int = Field(300, ge=1, description="updates")
    batch: int = Field(64, ge=1, description="images an update")
    learning_rate: float = Field(5e-3, gt=0, description="peak; cosine to 0")
    max_shift: int = Field(2, ge=0, description="largest shift of the augmentation, pixels")
    seed: int = Field(0, ge=0, description="seed of weights, order and shifts")


class InceptionExtractor(Variant):
    """The Inception network of the published FID, from a local file."""

    kind: Literal["inception"]
    weights: str = untracked(
        ..., "path of torch-fidelity's Inception weights; the digest tells which they are"
    )
    sha256: str | None = digest_field()


Extractor = Annotated[ClassifierExtractor | InceptionExtractor, Field(discriminator="kind")]
Metric = Literal["fid", "is", "kid", "prc"]
OF_STATISTICS: tuple[Metric, ...] = ("fid", "is")
"""What can be computed where only mean and covariance of the reference features are known."""


class Evaluation(Variant):
    """Distances between sample sets and a reference, by one extractor.

    The reference is either images (`views`) or published statistics (`statistics`). Numbers
    against the one are never comparable with numbers against the other: they have other names.
    """

    extractor: Annotated[Name, Reference("extractors")]
    views: Annotated[Name | None, Reference("views")] = None
    split: Split = Field("train", description="reference images: centre crops of this split")
    statistics: str | None = untracked(
        None,
        "instead of `views`: an .npz file with the mean `mu` and the covariance `sigma` of "
        "Inception's features, as ADM publishes them; the digest tells which they are",
    )
    statistics_sha256: str | None = digest_field()
    metrics: tuple[Metric, ...] = Field(
        ("fid", "is", "kid", "prc"),
        min_length=1,
        description="what is computed; against statistics fid and is alone, which is then the "
        "default",
    )
    seed: int = Field(0, ge=0, description="seed of the random subsets")
    samplings: Annotated[tuple[Name, ...], Reference("samplings", each=True)] = Field(
        description="the sample sets, a job each"
    )

    @model_validator(mode="before")
    @classmethod
    def _metrics_of_statistics(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("statistics") and "metrics" not in values:
            return {**values, "metrics": OF_STATISTICS}
        return values

    @model_validator(mode="after")
    def _one_reference(self) -> Self:
        if (self.views is None) == (self.statistics is None):
            raise ValueError(
                "name one reference: either views (images) or statistics (a file of them)"
            )
        if self.statistics is None:
            if self.statistics_sha256 is not None:
                raise ValueError("statistics_sha256 is the digest of a file: give statistics too")
            return self
        if "split" in self.model_fields_set:
            raise ValueError("split belongs to views, statistics have none: remove it")
        further = [metric for metric in self.metrics if metric not in OF_STATISTICS]
        if further:
            raise ValueError(
                f"{further[0]} needs the reference images, statistics allow only "
                f"{' and '.join(OF_STATISTICS)}: remove it, or give views"
            )
        return self


class Reconstruction(Variant):
    """What an autoencoder loses: images against their own reconstructions."""

    autoencoder: Annotated[Name, Reference("autoencoders")]
    views: Annotated[Name, Reference("views")]
    split: Split = Field("validation", description="centre crops of this split")
    extractor: Annotated[Name, Reference("extractors")]


class Probe(Variant):
    """Linear classifiers on the mean-pooled hidden states of every layer of a stage-1 model."""

    stage1: Annotated[tuple[Name, ...], Reference("stage1", each=True)] = Field(
        description="the models, a job each"
    )
    tokens: Annotated[Name | None, Reference("tokens")] = Field(
        None,
        description="the token set that is probed, such as one of other crops; null: the one that "
        "the model was trained on. A published model needs one",
    )
    steps: int = Field(2000, ge=1, description="SGD updates")
    batch: int = Field(256, ge=1, description="images an update")
    learning_rate: float = Field(0.4, gt=0, description="peak; cosine to 0")
    batch_norm: bool = Field(
        False, description="features are normalised first, as in MAE's probe; DiGIT has none"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="arithmetic of the frozen model; the probes are trained in float32"
    )
    seed: int = Field(0, ge=0, description="seed of weights, order and views")


class Stability(Variant):
    """Tokens before and after Gaussian noise on the pixels."""

    views: Annotated[Name, Reference("views")]
    codebooks: Annotated[tuple[Name, ...], Reference("codebooks")] = Field(min_length=1)
    autoencoders: Annotated[tuple[Name, ...], Reference("autoencoders")] = ()
    levels: tuple[float, ...] = Field(
        (30, 25, 20, 15, 10, 5, 1, 0.01), min_length=1, description="signal-to-noise ratios, dB"
    )
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1, description="seeds of the noise")
    images: int = Field(1000, ge=1, description="validation images, the first ones")
