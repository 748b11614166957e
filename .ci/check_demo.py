"""Are the samples of the default experiment digits? Asks a judge that shares nothing with it.

The judge is a support vector machine fitted on the original 8x8 training images; the samples are
scaled down to 8x8 for it. It is not the extractor of the evaluation.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from tessera.metrics.independent import IndependentJudge

AGREEMENT = 0.85  # of conditional samples are found to be of the class that was asked for
SHARE = 0.03  # of unconditional samples, at least, fall into each class


def main(results: Path) -> int:
    """Prints what the judge finds in each sample set; 1 if DiGIT's sets fall short."""
    digits = load_digits()
    train, _, labels, _ = train_test_split(
        digits.data, digits.target, test_size=0.2, random_state=0, stratify=digits.target
    )
    judge = IndependentJudge(train, labels)
    failed = False
    for file in sorted(results.glob("samplings/*/samples.npz")):
        name = file.parent.name
        with np.load(file) as archive:
            images, wanted = archive["arr_0"], archive.get("arr_1")
        shares = judge.class_shares(images)
        line = f"{name}: {len(images)} samples, rarest class {shares.min():.1%}"
        good = bool(shares.min() >= SHARE)
        if wanted is not None:
            agreement = judge.class_agreement(images, wanted)
            line += f", the class asked for in {agreement:.1%}"
            good = good and bool(agreement >= AGREEMENT)
        # The baseline without semantic tokens is there to be compared with; nothing is asked of it.
        asked = not name.endswith("_vq")
        failed = failed or (asked and not good)
        print(line, "" if good else "(short of the aim)")
    return int(failed)


if __name__ == "__main__":
    np.seterr(all="raise")
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "results")))
