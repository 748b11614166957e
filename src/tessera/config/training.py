"""Settings of the trainings."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tessera.config.base import (
    Name,
    Published,
    Reference,
    Settings,
    Variant,
    default_kind,
    require_heads,
    require_one_tokenizer,
    require_warmup,
)


class Training(Settings):
    """One optimiser's run: AdamW with decoupled decay on every tensor, as DiGIT configures it."""

    steps: int = Field(ge=1, description="updates")
    batch: int = Field(ge=1, description="images an update, over all processes together")
    learning_rate: float = Field(3e-4, gt=0, description="peak learning rate")
    schedule: Literal["inverse_sqrt", "cosine"] = Field(
        "inverse_sqrt", description="decay after the warm-up"
    )
    warmup: int = Field(0, ge=0, description="updates of linear warm-up")
    initial_learning_rate: float = Field(1e-7, ge=0, description="rate of the first update")
    final_learning_rate: float = Field(0.0, ge=0, description="end of the cosine schedule")
    betas: tuple[float, float] = Field((0.9, 0.98), description="AdamW's moment decays")
    eps: float = Field(1e-8, gt=0, description="AdamW's epsilon")
    weight_decay: float = Field(0.01, ge=0, description="decoupled decay, on every tensor")
    clip: float | None = Field(1.0, gt=0, description="largest global gradient norm; null: none")
    ema: float | None = Field(
        None, gt=0, lt=1, description="decay of the averaged weights that are saved; null: none"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="arithmetic of the forward pass; the weights stay float32"
    )
    seed: int = Field(0, ge=0, description="seed of weights, order, dropout")

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        require_warmup(self.warmup, self.steps)
        return self


class TransformerShape(Settings):
    """Size of a decoder."""

    width: int = Field(ge=8, description="channels")
    layers: int = Field(ge=1, description="blocks")
    heads: int = Field(ge=1, description="attention heads")
    ffn: int | None = Field(None, ge=8, description="hidden width; null: 4 x width")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout on the residual branches")
    position_scale: float = Field(
        1.0,
        gt=0,
        description="initial spread of the positions, in units of width^-1/2 (the original's)",
    )

    max_positions: int | None = Field(
        None,
        ge=2,
        description="rows of the position tables; null: as many as a sequence needs. The original "
        "has 1,024 and uses 257",
    )

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        require_heads(self.width, self.heads)
        return self


class TrainedStage1(Variant):
    """A GPT over one token a position: semantic tokens, or VQGAN codes (the VQ-only baseline)."""

    kind: Literal["trained"] = "trained"
    tokens: Annotated[Name, Reference("tokens")]
    class_conditional: bool = Field(description="the class is the first token of the sequence")
    norm: Literal["pre", "post"] = Field(
        "post", description="where the layer norms stand: DiGIT's stage 1 is post, the others pre"
    )
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="uniform share of the target")
    model: TransformerShape
    training: Training


class PublishedStage1(Published):
    """A published stage 1 that `tessera import` has read, and the tokenizer whose tokens it draws.

    A codebook, or an autoencoder for the VQ-only baseline.
    """

    codebook: Annotated[Name | None, Reference("codebooks")] = None
    autoencoder: Annotated[Name | None, Reference("autoencoders")] = None
    class_conditional: bool = Field(description="the class is the first token of the sequence")

    @model_validator(mode="after")
    def _one_tokenizer(self) -> Self:
        require_one_tokenizer(self.codebook, self.autoencoder)
        return self


Stage1 = Annotated[
    TrainedStage1 | PublishedStage1, Field(discriminator="kind"), default_kind("trained")
]


class TrainedStage2(Variant):
    """A decoder from semantic tokens to VQGAN codes of the same views."""

    semantic: Annotated[Name, Reference("tokens")]
    codes: Annotated[Name, Reference("tokens")]
    kind: Literal["autoregressive", "masked"] = Field(
        description="autoregressive: code after code; masked: MaskGIT's parallel decoding"
    )
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="uniform share of the target")
    model: TransformerShape
    training: Training


class PublishedStage2(Published):
    """A published stage 2 that `tessera import` has read, and the tokenizers on its two sides."""

    codebook: Annotated[Name, Reference("codebooks")]
    autoencoder: Annotated[Name, Reference("autoencoders")]
    decoder: Literal["autoregressive", "masked"] = Field(
        description="how it decodes, as `kind` of a trained one"
    )


Stage2 = Annotated[TrainedStage2 | PublishedStage2, Field(discriminator="kind")]
