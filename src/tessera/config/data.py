"""Settings of images: where they come from and how they are cropped."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from tessera.config.base import Name, Reference, Settings, Variant, untracked

Split = Literal["train", "validation"]
Watch = Literal["files", "folders", "nothing"]
Filter = Literal["bicubic", "bilinear"]


class Shards(Settings):
    """How many files a split is written as."""

    train: int = Field(4, ge=1, le=100_000, description="files of the training split")
    validation: int = Field(1, ge=1, le=100_000, description="files of the validation split")


class _Data(Variant):
    validation_share: float = Field(
        0.2, gt=0, lt=1, description="share that is held out where no validation split is given"
    )
    seed: int = Field(0, ge=0, description="seed of the split and of the order of the images")


class _Ordered(_Data):
    """Images that are listed one by one and so can be put into an order."""

    shards: Shards = untracked(
        Shards(), "tar files (or lists of files) a split; the images' order does not change"
    )
    max_corrupt_share: float = untracked(
        0.001, "share of unreadable images above which packing stops", ge=0, le=1
    )


class _Foreign(_Data):
    """Images that other people made."""

    watch: Watch = Field(
        "files",
        description="what is looked at before a run, to see that the images changed: `files` (the "
        "size and time of each), `folders` (which files there are), `nothing`; with another value "
        "the data set is read anew",
    )
    exclude: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (),
        description="images to leave out: paths below the folder, keys of WebDataset samples (or "
        "`file.tar:key`), paths stored in parquet files (or `file.parquet:row`)",
    )
    expect: Literal["imagenet"] | None = Field(
        None,
        description="`imagenet` checks for its 1,281,167 + 50,000 images and 1,000 classes in the "
        "order of their WordNet identifiers",
    )


class DigitsData(_Ordered):
    """scikit-learn's 1,797 handwritten digits, 8x8 in 17 levels, enlarged."""

    kind: Literal["digits"]
    image_size: int = Field(32, ge=8, le=256, description="side of the enlarged images, pixels")


class FolderData(_Ordered, _Foreign):
    """A folder of images with one subfolder a class.

    With `train/` and `validation/` (or `val/`) inside, these are the splits. With `train/` alone,
    or with the classes themselves inside, each class is split by `validation_share`; other folders
    beside `train/`, such as `test/`, are not read.
    """

    kind: Literal["folder"]
    path: str = Field(min_length=1, description="the folder; relative to where the command runs")
    image_size: int | None = Field(
        None,
        ge=8,
        description="shorter side of the packed images, pixels; null keeps the files as they are",
    )
    in_place: bool = Field(
        False, description="the files are read where they lie, and nothing is packed"
    )

    @model_validator(mode="after")
    def _nothing_is_resized_in_place(self) -> "FolderData":
        if self.in_place and self.image_size is not None:
            raise ValueError("in_place reads the files as they are: remove image_size")
        return self


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Patterns = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    Field(min_length=1),
    BeforeValidator(_as_tuple),
]
"""File names with `*`, `?` and `[…]` in them, relative to where the command runs."""


class _Files(_Foreign):
    train: Patterns = Field(
        description="files of the training split: a pattern such as `imagenet/train-*.tar`, or a "
        "list of them; relative to where the command runs"
    )
    validation: Patterns | None = Field(
        None,
        description="files of the validation split, alike; null holds out whole training files, "
        "`validation_share` of them, drawn by seed",
    )
    label_key: str | None = Field(
        None,
        min_length=1,
        description="field or column that holds the class; null tries `label`, then `cls`",
    )


class WebDatasetData(_Files):
    """Tar files of samples, an image beside its class, read in place.

    The class is the sample's `.cls` file, or a field of its `.json`: a number or an identifier.
    """

    kind: Literal["webdataset"]


class ParquetData(_Files):
    """Parquet files with a row an image, as on the Hugging Face hub, read in place."""

    kind: Literal["parquet"]
    image_key: str = Field(
        "image",
        min_length=1,
        description="column of the images: bytes of a file, or a struct with `bytes` and `path`",
    )


Data = Annotated[
    DigitsData | FolderData | WebDatasetData | ParquetData, Field(discriminator="kind")
]


class Views(Variant):
    """Crops of the images of one data set: the same for every tokenizer that reads them.

    Training images get `count` views each, cropped and flipped by a draw from (seed, image, view);
    validation images get one view, the centre crop. Images are turned into RGB as they are stored:
    a rotation noted in their EXIF data is ignored, as the original does.
    """

    data: Annotated[Name, Reference("data")]
    resize: int | None = Field(
        None, ge=4, description="shorter side after resizing, pixels; null keeps the size"
    )
    filter: Filter = Field("bicubic", description="how `resize` weighs pixels, always antialiased")
    crop: int = Field(ge=4, description="side of the square crop, pixels")
    random_crop: bool = Field(True, description="training crops are drawn; otherwise centre crops")
    resized_crop: bool = Field(
        False,
        description="training crops are drawn with 8 to 100 % of the area of the original image "
        "(not of the resized one) and sides of 3:4 to 4:3, then resized to `crop`",
    )
    crop_filter: Filter | None = Field(
        None, description="`bicubic` or `bilinear`, of `resized_crop`; null: that of `filter`"
    )
    validation_crop: int | None = Field(
        None, ge=4, description="side of the crop of validation images, pixels; null: `crop`"
    )
    flip: bool = Field(False, description="drawn training crops are mirrored half of the time")
    count: int = Field(1, ge=1, le=64, description="views a training image")
    seed: int = Field(0, ge=0, description="seed of the draws")

    @model_validator(mode="after")
    def _resized_crops_are_drawn(self) -> "Views":
        if self.resized_crop and not self.random_crop:
            raise ValueError("resized_crop draws its crops: remove `random_crop: false`")
        return self

    def side(self, split: str) -> int:
        """Side of a split's views, pixels."""
        return self.crop if split == "train" else self.validation_crop or self.crop
