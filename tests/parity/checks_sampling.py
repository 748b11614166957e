"""What is kept of a distribution by temperature and filters."""

import re
from collections.abc import Iterator

from tessera.sampling.filters import code_log_probs, keep
from tests.parity.models import SPECIALS
from tests.parity.reference_set import ReferenceSet
from tests.parity.registry import Measured, Quantity, gap, source

FILE = "sampling.npz"
PROBABILITY = 1e-6
NAME = re.compile(r"(?:plain|(?:topk(\d+))?_?(?:topp(\d+))?)(?:_T(\d+))?_(mass|probs)")


@source
def filter_quantities(reference: ReferenceSet) -> Iterator[Quantity]:
    """The mass that is kept, and the probabilities that are drawn from."""

    def measure(key: str) -> Measured:
        top_k, top_p, temperature, kind = NAME.fullmatch(key).groups()  # type: ignore[union-attr]
        # 08 is 0.8; 300 is the original's way to say: no filter.
        mass = min(1.0, int(top_p) / 10 ** (len(top_p) - 1) if top_p[0] == "0" else int(top_p)) \
            if top_p else None  # fmt: skip
        heat = int(temperature) / 10 ** (len(temperature) - 1) if temperature else 1.0
        log_probs = code_log_probs(reference.tensor(FILE, "logits"), heat)
        found = keep(log_probs, int(top_k) if top_k else None, mass).exp()
        stored = reference.numpy(FILE, key)
        if stored[:, :SPECIALS].any():
            raise ValueError("special symbols have a mass in the stored vectors")
        stored = stored[:, SPECIALS:]
        different = int(((found.numpy() > 0) != (stored > 0)).sum())
        if different:
            raise ValueError(f"{different} codes are kept that should not be, or the reverse")
        if kind == "probs":
            found = found / found.sum(1, keepdim=True)
        return gap(found, stored, ", the same codes kept")

    usual = ["plain_mass", "topk5_mass", "topp08_mass"]
    for key in dict.fromkeys([*usual, *reference.keys(FILE)]):
        if NAME.fullmatch(key):
            yield Quantity(
                f"sampling ({key})", (f"{FILE}:{key}", f"{FILE}:logits"), PROBABILITY,
                lambda key=key: measure(key),
            )  # fmt: skip
