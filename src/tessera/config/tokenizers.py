"""Settings of encoders, features, codebooks, autoencoders and token sets."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tessera.config.base import (
    Name,
    Published,
    Reference,
    Settings,
    Variant,
    added,
    default_kind,
    digest_field,
    require_one_tokenizer,
    untracked,
)
from tessera.config.networks import (
    DINOTraining,
    DiscriminatorShape,
    ViTShape,
    VQGANShape,
    VQGANTraining,
)

PositionResampling = Literal["dinov2", "timm"]


class TrainedEncoder(Variant):
    """A small ViT that learns from the images alone: DINO with iBOT's masked patches."""

    kind: Literal["trained"]
    data: Annotated[Name, Reference("data")]
    model: ViTShape
    training: DINOTraining


class PublishedEncoder(Published):
    """A published encoder that `tessera import` has read."""


class TimmEncoder(Variant):
    """A vision transformer of timm by its name, with weights from a local file or from the hub."""

    kind: Literal["timm"]
    model: str = Field(min_length=1, description="timm's model name")
    weights: str | None = untracked(
        None,
        "path of the weights (.safetensors, .pth); the digest tells which they are. null: timm "
        "fetches them from the hub by the model's name",
    )
    sha256: str | None = digest_field()
    position_resampling: PositionResampling = Field(
        "dinov2",
        description="how positions are resized to other grids: as DINOv2's own code does it (and "
        "so DiGIT's tokens), or as timm does it, which gives other tokens",
    )

    @model_validator(mode="after")
    def _digest_of_a_file(self) -> Self:
        if self.weights is None and self.sha256 is not None:
            raise ValueError("sha256 is the digest of a local file: give weights too")
        return self


Encoder = Annotated[TrainedEncoder | PublishedEncoder | TimmEncoder, Field(discriminator="kind")]


class Reading(Settings):
    """How an encoder's features are read."""

    encoder: Annotated[Name, Reference("encoders")]
    layer: int = Field(1, ge=1, description="block whose output is read, counted from the end")
    final_norm: bool = Field(True, description="the encoder's last norm follows that block")
    input_size: int | None = Field(
        None, ge=4, description="side the crop is resized to (bicubic); null: as cropped"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="arithmetic of the encoder"
    )


class Features(Reading, Variant):
    """A seeded sample of an encoder's patch features, for K-Means."""

    views: Annotated[Name, Reference("views")]
    dtype: Literal["float16", "float32"] = Field("float16", description="type on disk")
    points: int = Field(ge=1, description="tokens kept of the training split, about")
    seed: int = Field(0, ge=0, description="seed of the sample")


class FittedCodebook(Variant):
    """K-Means over sampled features: the discrete tokenizer."""

    kind: Literal["fitted"] = "fitted"
    features: Annotated[Name, Reference("features")]
    clusters: int = Field(ge=2, le=65_535, description="centroids, K; tokens are uint16")
    points: int | None = added(
        None,
        "points that K-Means reads, a seeded sample of the features' where these are more; null: "
        "all of them (DiGIT reads 256 a centroid)",
        ge=1,
    )
    iterations: int = Field(20, ge=1, description="Lloyd iterations")
    seed: int = Field(
        1234, ge=0, description="seed of the sample and of the initial centroids; faiss's default"
    )

    @model_validator(mode="after")
    def _a_point_a_centroid(self) -> Self:
        if self.points is not None and self.points < self.clusters:
            raise ValueError(
                f"points ({self.points}) must be at least clusters ({self.clusters}): change one"
            )
        return self


class PublishedCodebook(Reading, Published):
    """Published centroids that `tessera import` has read, and the features that they belong to."""


Codebook = Annotated[
    FittedCodebook | PublishedCodebook, Field(discriminator="kind"), default_kind("fitted")
]


class TrainedAutoencoder(Variant):
    """A VQGAN trained here, on the views that its codes will be made from."""

    kind: Literal["trained"]
    views: Annotated[Name, Reference("views")]
    model: VQGANShape
    discriminator: DiscriminatorShape = DiscriminatorShape()
    training: VQGANTraining


class PublishedAutoencoder(Published):
    """A published VQGAN that `tessera import` has read."""


Autoencoder = Annotated[TrainedAutoencoder | PublishedAutoencoder, Field(discriminator="kind")]


class Tokens(Variant):
    """The tokens of every image and view, by one tokenizer: a codebook or an autoencoder."""

    views: Annotated[Name, Reference("views")]
    codebook: Annotated[Name | None, Reference("codebooks")] = None
    autoencoder: Annotated[Name | None, Reference("autoencoders")] = None

    @model_validator(mode="after")
    def _one_tokenizer(self) -> Self:
        require_one_tokenizer(self.codebook, self.autoencoder)
        return self
