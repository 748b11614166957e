"""Settings of encoders, features, codebooks, autoencoders and token sets."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tessera.config.base import Name, Reference, Variant, untracked
from tessera.config.networks import (
    DINOTraining,
    DiscriminatorShape,
    ViTShape,
    VQGANShape,
    VQGANTraining,
)


class TrainedEncoder(Variant):
    """A small ViT that learns from the images alone: DINO with iBOT's masked patches."""

    kind: Literal["trained"]
    data: Annotated[Name, Reference("data")]
    model: ViTShape
    training: DINOTraining


class TimmEncoder(Variant):
    """A published encoder, by its name in timm, with weights from a local file."""

    kind: Literal["timm"]
    model: str = Field(min_length=1, description="timm's model name")
    weights: str = untracked(
        ..., "path of the weights (.safetensors, .pth); the digest tells which they are"
    )
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="digest of that file")


Encoder = Annotated[TrainedEncoder | TimmEncoder, Field(discriminator="kind")]


class Features(Variant):
    """A seeded sample of an encoder's patch features, for K-Means."""

    views: Annotated[Name, Reference("views")]
    encoder: Annotated[Name, Reference("encoders")]
    layer: int = Field(1, ge=1, description="block whose output is read, counted from the end")
    final_norm: bool = Field(True, description="the encoder's last norm follows that block")
    input_size: int | None = Field(
        None, ge=4, description="side the crop is resized to (bicubic); null: as cropped"
    )
    dtype: Literal["float16", "float32"] = Field("float16", description="type on disk")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="arithmetic of the encoder"
    )
    points: int = Field(ge=1, description="tokens kept of the training split, about")
    seed: int = Field(0, ge=0, description="seed of the sample")


class Codebook(Variant):
    """K-Means over sampled features: the discrete tokenizer."""

    features: Annotated[Name, Reference("features")]
    clusters: int = Field(ge=2, le=65_535, description="centroids, K; tokens are uint16")
    iterations: int = Field(20, ge=1, description="Lloyd iterations")
    seed: int = Field(1234, ge=0, description="seed of the initial centroids; faiss's default")


class TrainedAutoencoder(Variant):
    """A VQGAN trained here, on the views that its codes will be made from."""

    kind: Literal["trained"]
    views: Annotated[Name, Reference("views")]
    model: VQGANShape
    discriminator: DiscriminatorShape = DiscriminatorShape()
    training: VQGANTraining


Autoencoder = TrainedAutoencoder


class Tokens(Variant):
    """The tokens of every image and view, by one tokenizer: a codebook or an autoencoder."""

    views: Annotated[Name, Reference("views")]
    codebook: Annotated[Name | None, Reference("codebooks")] = None
    autoencoder: Annotated[Name | None, Reference("autoencoders")] = None

    @model_validator(mode="after")
    def _one_tokenizer(self) -> Self:
        if (self.codebook is None) == (self.autoencoder is None):
            raise ValueError("name one tokenizer: either codebook or autoencoder")
        return self
