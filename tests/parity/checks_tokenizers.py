"""Encoder and semantic tokens."""

import re
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from tessera.quantize.assign import nearest
from tests.parity import models
from tests.parity.models import ENCODER
from tests.parity.reference_set import ReferenceSet
from tests.parity.registry import (
    EXACT,
    FEATURES,
    Measured,
    Quantity,
    gap,
    relative,
    same,
    source,
    thinned,
)

IMAGES, CENTROIDS = "images.npz:imgs_u8", "km_tiny.npy"
# Distances near 20 in float32, with the kernels of two versions of torch.
DISTANCE = 1e-4


def centroids(reference: ReferenceSet) -> Tensor:
    """The set's centroids [K, d]."""
    reference.mark(CENTROIDS)
    return torch.from_numpy(np.load(reference.folder / CENTROIDS, allow_pickle=False))


@source
def encoder_quantities(reference: ReferenceSet) -> Iterator[Quantity]:
    """Input, positions, embedding, features and tokens of the frozen encoder."""

    def dino(key: str) -> np.ndarray:
        return reference.numpy("dino.npz", key)

    def resized() -> Measured:
        found = models.encoder(reference)
        x = models.encoder_input(reference, found.model, crop=False)
        return thinned(x, dino("x_resized_strided"), found.note)

    def positions(key: str) -> Measured:
        rows, columns = map(int, re.findall(r"(\d+)x(\d+)", key)[0])
        with torch.no_grad():
            found = models.encoder(reference).model.positions((rows, columns))
        return thinned(found, dino(key))

    def embedding(key: str) -> Measured:
        model, stored = models.encoder(reference).model, dino(key)
        with torch.no_grad():
            x = model.embed(models.encoder_input(reference, model, crop=True)[: len(stored)])
        return gap(x[:, : stored.shape[1]], stored)

    def features(key: str) -> Measured:
        found, stored = models.encoder(reference), dino(key)
        layer = re.search(r"_n(\d+)", key)
        x = models.features(
            reference, found.model, int(layer[1]) if layer else 3, crop=key.startswith("feat224")
        )
        return thinned(x[: len(stored)], stored, found.note)

    def tokens(key: str) -> Measured:
        found, stored = models.encoder(reference), dino(key)
        x = models.features(reference, found.model, crop=key == "tokens224")
        made = nearest(x.flatten(0, 1), centroids(reference)).view(len(x), -1)
        return same(made, stored, found.note)

    weights = (ENCODER, IMAGES)
    keys = dict.fromkeys(
        ["x_resized_strided", "pos_embed_16x16", "embed_img0_first40", "feat224", "feat256",
         "tokens224", "tokens256", *reference.keys("dino.npz")]
    )  # fmt: skip
    for key in keys:
        for start, measure, title, bound in (
            ("x_resized", lambda key: resized(), "encoder input, normalised and resized", FEATURES),
            ("pos_embed", positions, "encoder positions", FEATURES),
            ("embed_", embedding, "encoder embedding", FEATURES),
            ("feat", features, "encoder features", FEATURES),
            ("tokens", tokens, "semantic tokens", EXACT),
        ):
            if key.startswith(start):
                needs = (f"dino.npz:{key}", *weights, *((CENTROIDS,) if start == "tokens" else ()))
                yield Quantity(f"{title} ({key})", needs, bound, lambda key=key, m=measure: m(key))

    def distances(crop: bool) -> Tensor:
        x = models.features(reference, models.encoder(reference).model, crop=crop)
        table = centroids(reference)
        return (x.flatten(0, 1)[:, None].double() - table.double()).square().sum(-1)

    def margin(crop: bool, fact: str) -> Measured:
        two = distances(crop).topk(2, largest=False).values
        return gap((two[:, 1] - two[:, 0]).min(), reference.fact(fact))

    for size, crop in (("256", False), ("224", True)):
        fact = f"dino/min_margin_sq_dist_{size}"
        yield Quantity(
            f"centroids' distances: smallest margin ({size})",
            (f"manifest.json:{fact}", *weights, CENTROIDS),
            DISTANCE,
            lambda crop=crop, fact=fact: margin(crop, fact),
        )
    yield Quantity(
        "centroids' distances: median of the nearest",
        ("manifest.json:dino/typical_sq_dist", *weights, CENTROIDS),
        DISTANCE,
        lambda: relative(
            distances(False).min(1).values.median(), reference.fact("dino/typical_sq_dist")
        ),
    )
    yield Quantity(
        "encoder parameters",
        ("manifest.json:dino/params", ENCODER),
        EXACT,
        lambda: same(
            sum(p.numel() for p in models.encoder(reference).model.parameters()),
            reference.fact("dino/params"),
        ),
    )
    yield Quantity(
        "semantic tokens in use (256)",
        ("manifest.json:dino/tokens_used_256", *weights, CENTROIDS),
        EXACT,
        lambda: same(
            len(distances(False).argmin(1).unique()), reference.fact("dino/tokens_used_256")
        ),
    )
