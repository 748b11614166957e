"""Settings of images: where they come from and how they are cropped."""

from typing import Annotated, Literal

from pydantic import Field

from tessera.config.base import Name, Reference, Settings, Variant, untracked
from tessera.config.sources import Watch

Split = Literal["train", "validation"]


class Shards(Settings):
    """How many tar files a split is packed into."""

    train: int = Field(4, ge=1, le=100_000, description="tar files of the training split")
    validation: int = Field(1, ge=1, le=100_000, description="tar files of the validation split")


class _Data(Variant):
    validation_share: float = Field(
        0.2, gt=0, lt=1, description="share of each class that is held out, drawn by seed"
    )
    seed: int = Field(0, ge=0, description="seed of the split and of the order of the images")
    shards: Shards = untracked(Shards(), "tar files a split; the images' order does not change")
    max_corrupt_share: float = untracked(
        0.001, "share of unreadable images above which packing stops", ge=0, le=1
    )


class DigitsData(_Data):
    """scikit-learn's 1,797 handwritten digits, 8x8 in 17 levels, enlarged."""

    kind: Literal["digits"]
    image_size: int = Field(32, ge=8, le=256, description="side of the enlarged images, pixels")


class FolderData(_Data):
    """A folder of images with one subfolder a class.

    With `train/` and `validation/` (or `val/`) inside, these are the splits. With `train/` alone,
    or with the classes themselves inside, each class is split by `validation_share`; other folders
    beside `train/`, such as `test/`, are not read.
    """

    kind: Literal["folder"]
    path: str = Field(min_length=1, description="the folder; relative to where the command runs")
    watch: Watch = Field(
        "files",
        description="what is looked at before a run, to see that the images changed; with another "
        "value the data set is packed anew",
    )
    image_size: int | None = Field(
        None,
        ge=8,
        description="shorter side of the packed images, pixels; null keeps the files as they are",
    )


Data = Annotated[DigitsData | FolderData, Field(discriminator="kind")]


class Views(Variant):
    """Crops of the images of one data set: the same for every tokenizer that reads them.

    Training images get `count` views each, cropped and flipped by a draw from (seed, image, view);
    validation images get one view, the centre crop.
    """

    data: Annotated[Name, Reference("data")]
    resize: int | None = Field(
        None, ge=4, description="shorter side after bicubic resizing, pixels; null keeps the size"
    )
    crop: int = Field(ge=4, description="side of the square crop, pixels")
    random_crop: bool = Field(True, description="training crops are drawn; otherwise centre crops")
    flip: bool = Field(False, description="training views are mirrored half of the time")
    count: int = Field(1, ge=1, le=64, description="views a training image")
    seed: int = Field(0, ge=0, description="seed of the draws")
