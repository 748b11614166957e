"""Resizing and cropping as torchvision and Pillow do it."""

import hashlib
import re
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tessera.config.data import Views
from tessera.data.pixels import resize_shorter
from tessera.data.views import cut_views
from tests.parity.reference_set import ReferenceSet
from tests.parity.registry import EXACT, Measured, Quantity, same, same_text, source, strides

FILE = "transforms.npz"
NAME = re.compile(r"(val|short|fidref)(\d+)(?:of(\d+))?_(\d+)_(resized_wh|rows|sum|sha256)")


@source
def transform_quantities(reference: ReferenceSet) -> Iterator[Quantity]:
    """Sizes, rows, sums and digests of resized centre crops; all bytes are to be equal."""

    def measure(key: str) -> Measured:
        kind, crop, resize, number, what = NAME.fullmatch(key).groups()  # type: ignore[union-attr]
        image = Image.fromarray(reference.numpy(FILE, f"in{number}"))
        views = Views(
            data="any",
            resize=int(resize or crop),
            crop=int(resize or crop),
            validation_crop=int(crop),
            random_crop=False,
            filter="bilinear" if kind == "fidref" else "bicubic",
        )
        stored = reference.numpy(FILE, key)
        if what == "resized_wh":
            return same(resize_shorter(image, views.resize, views.filter).size, stored)
        pixels = cut_views(image, 0, views, "validation")[0].transpose(1, 2, 0)  # [S, S, 3]
        if what == "sum":
            return same(pixels.astype(np.int64).sum((0, 1)), stored)
        if what == "sha256":
            made = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
            return same_text(made, str(stored))
        rows = [64 * i for i in range(len(stored))]  # the original's choice, where it fits
        if rows[-1] >= len(pixels):
            rows = list(range(0, len(pixels), strides(len(pixels), len(stored))[0]))
        return same(pixels[rows], stored)

    usual = [f"{kind}_0_sha256" for kind in ("val256", "val224of256", "short224", "fidref256")]
    for key in dict.fromkeys([*usual, *reference.keys(FILE)]):
        found = NAME.fullmatch(key)
        if found:
            yield Quantity(
                f"transforms ({key})", (f"{FILE}:{key}", f"{FILE}:in{found[4]}"), EXACT,
                lambda key=key: measure(key),
            )  # fmt: skip
