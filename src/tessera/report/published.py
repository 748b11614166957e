"""Published results: the rows of `published.csv`, which tables and figures show beside our own.

The numbers are as tabulated in DiGIT's paper (arXiv 2410.12490), but for the rows of MAR
(arXiv 2406.11838) and ImageFolder (arXiv 2410.01756), which are as in those papers; `source` says
which. A number that DiGIT's paper copied from another paper stands here as DiGIT's paper has it.

FIDs against different images are not comparable, and the papers do not say against which images
each one is. `reference` says it where the public code or its instructions do (`reference_source`
names them), and is empty elsewhere.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

Reference = Literal["imagenet-validation", "adm-statistics"]
"""The 50,000 validation images of ImageNet at 256x256; or ADM's statistics of training images."""

Name = Literal["linear_probe", "unconditional", "conditional", "tokenizer_rfid"]

SHA256 = "df1c40b7929033a9f3f6ed542dac7ffb7a93e962fc67c3f989544ededdd37f28"
"""Digest of the file. It is in the source, by which the stages that show the rows are versioned: a
changed number asks for a decision about them, as changed code does."""

_UNITS = {"M": 10**6, "B": 10**9}


def count(text: str) -> int:
    """A count of parameters as papers write it: "1362M" → 1,362,000,000.

    Raises:
        ValueError: it is no number followed by M or B.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([MB])", text)
    if match is None:
        raise ValueError(f"{text!r} is no count such as 219M or 3.8B")
    return round(float(match[1]) * _UNITS[match[2]])


class PublishedRow(BaseModel):
    """One row of a published table, of ImageNet at 256x256 pixels.

    Attributes:
        table: the table of ours that the row belongs to.
        type: kind of model, as the paper groups them.
        method: its name.
        parameters: of the model that is trained to generate, without tokenizers.
        tokens: grid of tokens that a linear probe reads, such as "16x16".
        features: width of the features that it reads.
        epochs: passes over the training images.
        fid: Fréchet distance over Inception; for tokenizers, of reconstructions.
        inception_score: IS.
        top1: accuracy of the linear probe, percent.
        guidance: "cfg" for classifier-free guidance.
        source: the paper that tabulates the row.
        reference: what the FID is measured against, where that is known.
        reference_source: how it is known.
        printed: column of the file → the number as the paper prints it, with all its digits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    table: Name
    type: Literal["AR", "Diff.", "GAN", "MIM", "MIM+AR", "VQ"]
    method: str = Field(min_length=1)
    parameters: Annotated[int, BeforeValidator(count)] | None = Field(None, alias="params")
    tokens: str | None = Field(None, pattern=r"^\d+x\d+$")
    features: int | None = Field(None, ge=1)
    epochs: int | None = Field(None, ge=1)
    fid: float | None = Field(None, gt=0)
    inception_score: float | None = Field(None, alias="is", ge=1)
    top1: float | None = Field(None, gt=0, le=100)
    guidance: Literal["none", "cfg"] | None = None
    source: str = Field(pattern=r"^arXiv \d{4}\.\d{5}$")
    reference: Reference | None = None
    reference_source: str | None = None
    printed: Mapping[str, str] = {}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.table == "linear_probe":
            fits = self.top1 is not None and self.fid is None and self.guidance is None
        elif self.table == "tokenizer_rfid":
            fits = self.fid is not None and self.guidance is None
        else:
            fits = self.fid is not None and self.guidance is not None
        if not fits:
            raise ValueError(f"a row of {self.table} has not the numbers of that table")
        if (self.reference is None) != (self.reference_source is None):
            raise ValueError("reference and reference_source come together")
        return self


def read(lines: Iterable[str]) -> list[PublishedRow]:
    """Reads and checks rows.

    Args:
        lines: a CSV file with a header; an empty cell is a number that is not known.

    Raises:
        ValueError: a cell is not what its column holds; the row is named.
    """
    rows = []
    for number, cells in enumerate(csv.DictReader(lines), start=2):
        given: dict[str, Any] = {key: value for key, value in cells.items() if value != ""}
        try:
            rows.append(PublishedRow.model_validate({**given, "printed": given}))
        except ValidationError as error:
            raise ValueError(f"line {number} of the published results: {error}") from error
    return rows


@cache
def _all_rows() -> tuple[PublishedRow, ...]:
    text = files("tessera.report").joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(read(text.splitlines()))


def published(table: Name) -> list[PublishedRow]:
    """The published rows of one table, in the order in which papers have them."""
    return [row for row in _all_rows() if row.table == table]
