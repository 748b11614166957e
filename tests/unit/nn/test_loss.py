"""The smoothed cross-entropy against its definition."""

import pytest
import torch

from tessera.nn.loss import symbol_cross_entropy


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("masked", [False, True])
def test_equals_the_definition(smoothing: float, masked: bool) -> None:
    """(1-e) of the target's term and e of the mean over all classes, over the selected only."""
    torch.manual_seed(0)
    logits, targets = torch.randn(3, 4, 7, dtype=torch.float64), torch.randint(7, (3, 4))
    selected = torch.rand(3, 4) < 0.5 if masked else torch.ones(3, 4, dtype=torch.bool)
    terms = []
    for b in range(3):
        for t in range(4):
            if selected[b, t]:
                minus_log_p = logits[b, t].logsumexp(0) - logits[b, t]
                nll, uniform = minus_log_p[targets[b, t]], minus_log_p.mean()
                terms.append((1 - smoothing) * nll + smoothing * uniform)
    expected = torch.stack(terms).mean()
    actual = symbol_cross_entropy(logits, targets, smoothing, selected if masked else None)
    torch.testing.assert_close(actual.double(), expected, atol=1e-6, rtol=0)


def test_low_precision_logits_are_summed_in_float32() -> None:
    """bfloat16 logits give the loss of their float32 copies."""
    logits, targets = torch.randn(2, 3, 50).bfloat16(), torch.randint(50, (2, 3))
    actual = symbol_cross_entropy(logits, targets, 0.1)
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual, symbol_cross_entropy(logits.float(), targets, 0.1))
