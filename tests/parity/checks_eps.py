"""The epsilons of the norms."""

import re
from collections.abc import Iterator

import torch

from tests.parity import models
from tests.parity.models import ENCODER, VQGAN_FILE
from tests.parity.reference_set import ReferenceSet
from tests.parity.registry import (
    FEATURES,
    Measured,
    Quantity,
    source,
    thinned,
)

IMAGES = "images.npz:imgs_u8"


@source
def eps_quantities(reference: ReferenceSet) -> Iterator[Quantity]:
    """With what goes into the first norm scaled by 1e-3, the epsilon of the norms decides."""
    file = "eps_probes.npz"

    @torch.no_grad()
    def encoder(key: str) -> Measured:
        model, stored = models.encoder(reference).model, reference.numpy(file, key)
        x = 1e-3 * model.embed(models.encoder_input(reference, model, crop=True)[: len(stored)])
        layer = re.search(r"_n(\d+)", key)
        for block in model.blocks[: len(model.blocks) - (int(layer[1]) if layer else 3) + 1]:
            x = block(x)
        return thinned(model.norm(x)[:, 1 + model.config.registers :], stored)

    @torch.no_grad()
    def vqgan_encoder(key: str) -> Measured:
        network, stored = models.vqgan(reference).encoder, reference.numpy(file, key)
        handle = network.conv_in.register_forward_hook(lambda module, given, made: 1e-3 * made)
        try:
            return thinned(network(models.images(reference)[: len(stored)]), stored)
        finally:
            handle.remove()

    @torch.no_grad()
    def vqgan_decoder(key: str) -> Measured:
        model, stored = models.vqgan(reference), reference.numpy(file, key)
        handle = model.decoder.conv_in.register_forward_hook(lambda m, given, made: 1e-3 * made)
        try:
            codes = reference.tensor("vqgan.npz", "codes")[: len(stored)]
            return thinned(model.decode_codes(codes), stored)
        finally:
            handle.remove()

    @torch.no_grad()
    def transformer(key: str) -> Measured:
        name = key.partition("_logits")[0]
        found, stored = models.decoder(reference, name), reference.numpy(file, key)
        model, count = found.model, len(stored)
        extra = {word: value[:count] for word, value in found.extra.items()}
        start = model.start(count, extra.get("labels"))
        ids = torch.cat((start, model.ids(found.codes[:count])), 1)
        x = 1e-3 * model.embed(ids, extra.get("prefix"))
        x = model.transform(x, causal=not models.is_masked(reference, name))
        return thinned(model.project(x)[:, model.config.prefix_length :], stored)

    usual = ["vit_feat224_n3_img0", "vqgan_enc_h_img0", "vqgan_dec_img0", "stage2_vq_logits_img0"]
    for key in dict.fromkeys([*usual, *reference.keys(file)]):
        if key.startswith("vit_"):
            measure, needs = encoder, (ENCODER, IMAGES)
        elif key.startswith("vqgan_enc"):
            measure, needs = vqgan_encoder, (VQGAN_FILE, IMAGES)
        elif key.startswith("vqgan_dec"):
            measure, needs = vqgan_decoder, (VQGAN_FILE, "vqgan.npz:codes")
        elif "_logits" in key:
            name = key.partition("_logits")[0]
            measure, needs = transformer, (f"{name}.pt", f"{name}.npz:tgt")
        else:
            continue
        yield Quantity(
            f"norms' epsilon ({key})", (f"{file}:{key}", *needs), FEATURES,
            lambda key=key, measure=measure: measure(key),
        )  # fmt: skip
