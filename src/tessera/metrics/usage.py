"""How a token set uses its vocabulary, in general and class by class.

Entropies are those of the counted shares (plug-in estimates): with few tokens a class, H(code |
class) is too low and the information about the class too high.
"""

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.int64]


def entropy_bits(counts: NDArray[np.int64]) -> float:
    """Entropy of the shares in bits; 0 where nothing was counted.

    Args:
        counts: int64 [K], not negative.
    """
    share = counts[counts > 0] / max(1, counts.sum())
    return float(-(share * np.log2(share)).sum()) + 0.0  # + 0.0 turns -0.0 into 0.0


def class_entropies(table: Table) -> NDArray[np.float64]:
    """The entropy of each class's codes, in bits.

    Args:
        table: int64 [C, K].

    Returns:
        float64 [C].
    """
    return np.array([entropy_bits(row) for row in table])


def usage(table: Table) -> dict[str, float]:
    """What a table of counts says about a vocabulary.

    Args:
        table: int64 [C, K], how often a code comes in the images of a class; not all 0.

    Returns:
        `codes` counted, `used` and `dead` entries of the vocabulary, `entropy_bits` (log2 K where
        all come equally often), `perplexity` (2 to that power), `class_entropy_bits` (H(code |
        class)) and `class_information_bits` (what a code tells of the class, H(code) - H(code |
        class)).
    """
    counts = table.sum(axis=0)
    used = int((counts > 0).sum())
    entropy = entropy_bits(counts)
    weights = table.sum(axis=1) / counts.sum()
    within = float((weights * class_entropies(table)).sum())
    return {
        "codes": int(counts.sum()),
        "used": used,
        "dead": len(counts) - used,
        "entropy_bits": entropy,
        "perplexity": 2.0**entropy,
        "class_entropy_bits": within,
        "class_information_bits": max(0.0, entropy - within),
    }
