"""Settings of the search for training images that a sample set may have copied."""

from typing import Annotated, Literal

from pydantic import Field

from tessera.config.base import Name, Reference, Variant

Distance = Literal["euclidean", "cosine"]


class Neighbours(Variant):
    """The training images nearest to samples, and to unseen real images, by an extractor."""

    extractor: Annotated[Name, Reference("extractors")]
    views: Annotated[Name, Reference("views")]
    samples: int = Field(
        1000,
        ge=1,
        description="samples that are searched for, the first ones; as many validation images, "
        "evenly spread, are searched for beside them",
    )
    neighbours: int = Field(5, ge=1, le=100, description="nearest training images of each")
    rows: int = Field(
        6,
        ge=1,
        le=100,
        description="rows of the picture: so many first samples, and so many of those that come "
        "nearest to a training image",
    )
    metric: Distance = Field(
        "euclidean",
        description="distance of two images' features; Euclidean is that of precision and recall",
    )
    samplings: Annotated[tuple[Name, ...], Reference("samplings", each=True)] = Field(
        description="the sample sets, a job each"
    )
