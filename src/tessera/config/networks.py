"""Settings of the networks that the pipeline trains for data sets without published ones.

The defaults of the trainings are those of the papers where they give one, at small sizes; a
variant names what it changes.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from tessera.config.base import Settings, require_heads, require_warmup

Range = tuple[float, float]


class CropViews(Settings):
    """How one kind of random view is drawn for self-distillation."""

    size: int = Field(ge=4, description="side of the view, pixels")
    scale: Range = Field(
        (0.25, 1.0), description="share of the image's area shown; above 1 zooms out"
    )
    ratio: Range = Field((0.75, 4 / 3), description="width over height of the shown region")
    rotation: float = Field(0.0, ge=0, le=180, description="largest angle, degrees")
    shift: float = Field(0.0, ge=0, le=1, description="largest shift, share of the side")
    flip: float = Field(0.5, ge=0, le=1, description="probability of mirroring; 0 for digits")
    brightness: float = Field(0.4, ge=0, le=1, description="largest relative change")
    contrast: float = Field(0.4, ge=0, le=1, description="largest relative change")
    blur_probability: float = Field(0.5, ge=0, le=1, description="share of blurred views")
    blur_sigma: Range = Field((0.1, 2.0), description="spread of the blur, pixels")
    noise: float = Field(0.0, ge=0, le=1, description="largest spread of pixel noise")
    padding: Literal["zeros", "border"] = Field(
        "zeros", description="what lies outside the image: black, or its border repeated"
    )


class ViTShape(Settings):
    """Size of a vision transformer."""

    image_size: int = Field(ge=8, description="side of its input, pixels")
    patch_size: int = Field(ge=2, description="side of a patch, pixels; a token each")
    width: int = Field(ge=8, description="channels")
    depth: int = Field(ge=1, description="blocks")
    heads: int = Field(ge=1, description="attention heads")
    mlp_ratio: float = Field(4.0, gt=0, description="hidden width over width")
    registers: int = Field(0, ge=0, description="register tokens")
    layer_scale: float | None = Field(
        None, gt=0, description="initial scale of the branches, as in DINOv2; null: none"
    )

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.image_size % self.patch_size:
            raise ValueError(
                f"patch_size ({self.patch_size}) must divide image_size ({self.image_size})"
            )
        require_heads(self.width, self.heads)
        return self


class DINOTraining(Settings):
    """Self-distillation: DINO (arXiv 2104.14294) with iBOT's masked patches (2111.07832)."""

    steps: int = Field(ge=1, description="updates")
    batch: int = Field(ge=1, description="images an update")
    learning_rate: float = Field(2e-3, gt=0, description="peak; cosine afterwards")
    final_learning_rate: float = Field(1e-5, ge=0, description="at the last update")
    warmup: int = Field(20, ge=0, description="updates of linear warm-up")
    weight_decay: float = Field(0.04, ge=0, description="decoupled, on matrices")
    clip: float = Field(3.0, gt=0, description="largest gradient norm")
    momentum: float = Field(0.9, gt=0, lt=1, description="teacher's decay; cosine to 1")
    student_temperature: float = Field(0.1, gt=0, description="of the student's scores")
    class_temperature: float = Field(
        0.01, gt=0, description="of the teacher's scores of class tokens"
    )
    patch_temperature: float = Field(0.02, gt=0, description="of the teacher's scores of patches")
    hidden: int = Field(256, ge=8, description="width of the heads")
    bottleneck: int = Field(64, ge=8, description="channels compared with the prototypes")
    prototypes: int = Field(128, ge=2, description="prototypes of each head")
    global_views: CropViews = Field(description="the two large views, seen by both networks")
    local_views: CropViews | None = Field(None, description="small views, seen by the student")
    locals: int = Field(0, ge=0, description="number of small views")
    student_noise: float = Field(
        0.2, ge=0, description="largest spread of noise that only the student sees"
    )
    mask_probability: float = Field(0.5, ge=0, le=1, description="share of masked views")
    mask_share: Range = Field((0.1, 0.5), description="share of masked patches of such a view")
    class_weight: float = Field(1.0, ge=0, description="weight of DINO's loss")
    patch_weight: float = Field(1.0, ge=0, description="weight of iBOT's loss on hidden patches")
    visible_weight: float = Field(1.0, ge=0, description="its weight on the visible patches")
    seed: int = Field(0, ge=0, description="seed of weights, order and views")

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.locals > 0) != (self.local_views is not None):
            raise ValueError("locals and local_views go together: set both or neither")
        return self

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        require_warmup(self.warmup, self.steps)
        return self


class VQGANShape(Settings):
    """Size of a VQGAN."""

    resolution: int = Field(ge=8, description="side of the images, pixels")
    channels: int = Field(ge=4, description="channels at full resolution")
    multipliers: tuple[int, ...] = Field(
        min_length=1, description="channels of each level, as multiples; each halves the side"
    )
    residual_blocks: int = Field(ge=1, description="residual blocks a level")
    codes: int = Field(ge=2, le=65_536, description="entries of the codebook")
    code_width: int = Field(ge=1, description="channels of a code")
    norm_groups: int = Field(32, ge=1, description="groups of the group norms")

    @model_validator(mode="after")
    def _divides(self) -> Self:
        for multiplier in self.multipliers:
            if self.channels * multiplier % self.norm_groups:
                raise ValueError(
                    f"norm_groups ({self.norm_groups}) must divide the channels of every level "
                    f"({self.channels * multiplier})"
                )
        if self.resolution % 2 ** (len(self.multipliers) - 1):
            raise ValueError(
                f"resolution ({self.resolution}) must be a multiple of "
                f"{2 ** (len(self.multipliers) - 1)}"
            )
        return self


class DiscriminatorShape(Settings):
    """Size of the patch discriminator."""

    channels: int = Field(64, ge=4, description="channels of its first layer")
    layers: int = Field(3, ge=1, description="strided layers")
    norm_groups: int = Field(32, ge=1, description="groups of the group norms")

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.channels % self.norm_groups:
            raise ValueError(
                f"norm_groups ({self.norm_groups}) must divide channels ({self.channels})"
            )
        return self


class VQGANTraining(Settings):
    """Reconstruction, codebook and patch discriminator (arXiv 2012.09841)."""

    steps: int = Field(ge=1, description="updates")
    batch: int = Field(ge=1, description="images an update")
    learning_rate: float = Field(1e-3, gt=0, description="peak; cosine afterwards")
    final_learning_rate: float = Field(1e-5, ge=0, description="at the last update")
    warmup: int = Field(20, ge=0, description="updates of linear warm-up")
    betas: Range = Field((0.5, 0.9), description="Adam's moment decays, both networks")
    codebook_weight: float = Field(1.0, ge=0, description="weight of the codes' loss")
    commitment_weight: float = Field(0.25, ge=0, description="weight of the latents' loss")
    matching_weight: float = Field(
        0.0, ge=0, description="weight of the distance of the discriminator's features"
    )
    discriminator_start: int = Field(0, ge=0, description="update from which it takes part")
    discriminator_weight: float = Field(0.8, ge=0, description="before the adaptive weight")
    discriminator_learning_rate: float = Field(2e-4, gt=0, description="constant")
    revive_every: int = Field(10, ge=0, description="updates between revivals of unused codes")
    revive_until: float = Field(0.7, ge=0, le=1, description="last revival, share of all updates")
    revive_below: float = Field(0.5, ge=0, description="latents an update that make a code used")
    seed: int = Field(0, ge=0, description="seed of weights and order")

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        require_warmup(self.warmup, self.steps)
        return self
