"""Settings of what illustrates the paper: PCA against LDA, and what a code sees."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from tessera.config.base import Name, Reference, Variant
from tessera.config.data import Split


class Projections(Variant):
    """Two Gaussian classes on one line: along the direction of PCA, and along that of LDA.

    A latent space made to reconstruct keeps what varies most, one made to discriminate what tells
    images apart; these may be two directions.
    """

    samples: int = Field(
        4000,
        ge=2,
        le=1_000_000,
        description="points of each class, to fit to and again, for each seed, to measure",
    )
    variances: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (9.0, 1.0),
        min_length=2,
        max_length=1000,
        description="of each class along each axis: as many as there are dimensions",
    )
    distance: float = Field(4.0, gt=0, description="between the means of the classes")
    angle: float = Field(
        75.0,
        ge=0,
        le=90,
        description="of the line between the means with the first axis, towards the second, "
        "degrees",
    )
    noise: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0),
        min_length=1,
        description="standard deviations of the Gaussian noise, the same along each axis",
    )
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (0, 1, 2, 3, 4),
        min_length=1,
        description="seeds of the points that are measured, and of their noise",
    )
    seed: int = Field(0, ge=0, description="seed of the points that are fitted to")

    @model_validator(mode="after")
    def _enough_to_fit(self) -> Self:
        # Fewer points than dimensions have a covariance that LDA cannot invert.
        if self.samples <= len(self.variances):
            raise ValueError(
                f"samples ({self.samples}) must be more than the dimensions "
                f"({len(self.variances)} variances): raise it"
            )
        return self


class Patches(Variant):
    """What a code sees: patches of images that got the same token, amid their surroundings."""

    tokens: Annotated[Name, Reference("tokens")]
    split: Split = Field("validation", description="images that the patches come from")
    images: int = Field(
        5000, ge=1, description="images that are looked at, spread evenly over the split"
    )
    clusters: int = Field(
        10,
        ge=1,
        le=100,
        description="codes shown, a row each: of those that come often enough to fill a row, from "
        "the most to the least frequent one, evenly spread over their ranks",
    )
    patches: int = Field(
        10, ge=1, le=100, description="patches of a code, a seeded draw of one an image"
    )
    context: int | None = Field(
        None,
        ge=0,
        description="pixels around a patch that are shown with it, at an edge of the view more of "
        "the other side; null: the whole view",
    )
    seed: int = Field(0, ge=0, description="seed of the draw")
