"""What the checkpoints hold beside the vectors: names, shapes, encoder, centroids, VQGAN."""

from collections.abc import Iterator

import numpy as np
import torch

from tessera.models.fairseq_names import from_fairseq, to_fairseq
from tests.parity import models
from tests.parity.reference_set import ReferenceSet
from tests.parity.registry import (
    EXACT,
    LOGITS,
    Measured,
    Quantity,
    gap,
    same,
    same_text,
    source,
)


@source
def checkpoint_quantities(reference: ReferenceSet) -> Iterator[Quantity]:
    """What the checkpoints hold: names, shapes, parameters, encoder, centroids and VQGAN."""

    def names(name: str) -> Measured:
        state = reference.state(f"{name}.pt")
        listed = reference.fact(f"reference_checkpoint_keys/{name}/model")
        found = {key: list(value.shape) for key, value in state.items()}
        kinds = {key.partition(".")[0] for key in found}  # some files hold the decoder alone
        expected = {k: s for k, s in listed.items() if k.partition(".")[0] in kinds}
        return same_text(sorted(found.items()), sorted(expected.items()))

    def renamed(name: str) -> Measured:
        state = models.decoder_state(reference, name)
        state.pop("decoder.version", None)
        back = to_fairseq(from_fairseq(state))
        if back.keys() != state.keys():
            return same_text(sorted(back), sorted(state))
        different = sum(not torch.equal(back[key], state[key]) for key in state)
        return Measured(float(different), f"{different} of {len(state)} tensors differ")

    def parameters(name: str) -> Measured:
        model = models.decoder(reference, name).model
        count = sum(p.numel() for p in model.parameters())
        return same(count, reference.fact(f"reference_checkpoint_keys/{name}/n_params_decoder"))

    def part(name: str, prefix: str, file: str) -> Measured:
        state, other = reference.state(f"{name}.pt"), reference.state(file)
        own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        if own.keys() != other.keys():
            return same_text(sorted(own), sorted(other))
        different = sum(not torch.equal(own[key], other[key]) for key in own)
        return Measured(float(different), f"{different} of {len(own)} tensors differ")

    def clusters(name: str) -> Measured:
        stored = np.load(reference.folder / "km_tiny.npy", allow_pickle=False)
        return same(reference.state(f"{name}.pt")["centroids"].T, stored)

    def norms(name: str) -> Measured:
        state = reference.state(f"{name}.pt")
        return gap(state["centroids"].double().square().sum(0)[None], state["centroid_norm"])

    for name in reference.stored_models():
        file = f"{name}.pt"
        try:
            state = reference.state(file) if reference.has(file) else {}
        except Exception:  # told by every quantity that reads it
            state = {}
        fact = f"manifest.json:reference_checkpoint_keys/{name}"
        for title, needs, bound, measure in (
            ("names and shapes", (f"{fact}/model",), EXACT, names),
            ("names there and back", (), EXACT, renamed),
            ("parameters", (f"{fact}/n_params_decoder", f"{name}.npz:tgt"), EXACT, parameters),
        ):
            yield Quantity(
                f"{name} {title}", (file, *needs), bound, lambda name=name, m=measure: m(name)
            )
        if "centroids" in state:
            yield Quantity(
                f"{name} centroids", (file, "km_tiny.npy"), EXACT, lambda name=name: clusters(name)
            )
        if "centroid_norm" in state:
            yield Quantity(
                f"{name} centroids' squares", (file,), LOGITS, lambda name=name: norms(name)
            )
        for prefix, other in (
            ("pretrained_encoder.", models.ENCODER),
            ("vqgan.", models.VQGAN_FILE),
        ):
            if any(key.startswith(prefix) for key in state):
                yield Quantity(
                    f"{name} {prefix[:-1]}", (file, other), EXACT,
                    lambda name=name, prefix=prefix, other=other: part(name, prefix, other),
                )  # fmt: skip
