"""The masked model: what it sees, what counts, what training hides."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tessera.errors import UserError
from tessera.models.maskgit import MaskGIT, MaskGITConfig, draw_hidden

B, L, K, P = 3, 6, 11, 5


@pytest.fixture
def model() -> MaskGIT:
    torch.manual_seed(0)
    config = MaskGITConfig(
        vocabulary=K, length=L, prefix_vocabulary=7, prefix_length=P, width=16, layers=2,
        heads=4, ffn=32, norm="pre", max_positions=7,
    )  # fmt: skip
    return MaskGIT(config).eval()


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    hidden = torch.tensor([[1, 0, 1, 0, 0, 0], [0, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1]]).bool()
    return torch.randint(K, (B, L)), torch.randint(7, (B, P)), hidden


def test_hidden_codes_are_not_seen_and_all_others_are(
    model: MaskGIT, batch: tuple[Tensor, Tensor, Tensor]
) -> None:
    """A hidden code changes no logit; a visible one changes those of its whole image."""
    codes, prefix, hidden = batch
    before = model.logits(codes, hidden, prefix=prefix)
    assert before.shape == (B, L, K + 5)
    for t in range(L):
        other = codes.clone()
        other[:, t] = (codes[:, t] + 1) % K
        changed = (model.logits(other, hidden, prefix=prefix) - before).abs().amax(2)  # [B, L]
        for b in range(B):
            if hidden[b, t]:
                assert changed[b].max() == 0
            else:
                assert changed[b].min() > 1e-5


def test_prefix_is_seen_everywhere(model: MaskGIT, batch: tuple[Tensor, Tensor, Tensor]) -> None:
    """The last prefix code changes the logits of every position."""
    codes, prefix, hidden = batch
    other = prefix.clone()
    other[:, -1] = (prefix[:, -1] + 1) % 7
    difference = model.logits(codes, hidden, prefix=other) - model.logits(
        codes, hidden, prefix=prefix
    )
    assert difference.abs().amax(2).min() > 1e-5


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_counts_hidden_codes_only(
    model: MaskGIT, batch: tuple[Tensor, Tensor, Tensor], smoothing: float
) -> None:
    """The target of a position is its own code, and the mean runs over the hidden ones."""
    codes, prefix, hidden = batch
    logits = model.logits(codes, hidden, prefix=prefix)
    expected = F.cross_entropy(logits[hidden], codes[hidden] + 5, label_smoothing=smoothing)
    actual = model.loss(codes, None, prefix, smoothing, hidden)
    torch.testing.assert_close(actual, expected)


def test_training_hides_by_the_global_generator(
    model: MaskGIT, batch: tuple[Tensor, Tensor, Tensor]
) -> None:
    """The same seed hides the same codes."""
    codes, prefix, _ = batch
    losses = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        losses.append(float(model(codes, prefix=prefix).detach()))
    assert losses[0] == losses[1] != losses[2]
    torch.manual_seed(5)
    hidden = draw_hidden(B, L, torch.device("cpu"))
    assert float(model.loss(codes, None, prefix, 0.0, hidden).detach()) == losses[0]


def test_hidden_counts_follow_the_published_statistics() -> None:
    """20,000 draws of DiGIT's schedule: mean 162.5, range 1 to 256, quartiles 98, 179, 236."""
    torch.manual_seed(0)
    hidden = draw_hidden(20_000, 256, torch.device("cpu"))
    count = hidden.sum(1).float()
    # The standard deviation of one count is about 79, so that of the mean 0.56.
    assert float(count.mean()) == pytest.approx(162.5, abs=2)
    assert (count.min(), count.max()) == (1, 256)
    quartiles = count.quantile(torch.tensor([0.25, 0.5, 0.75]))
    torch.testing.assert_close(quartiles, torch.tensor([98.0, 179.0, 236.0]), atol=3, rtol=0)
    # Positions are uniform: each is hidden in 162.5 / 256 of the images, sd 0.0034.
    torch.testing.assert_close(
        hidden.float().mean(0), torch.full((256,), 162.5 / 256), atol=0.02, rtol=0
    )


@pytest.mark.parametrize("length", [1, 2, 16])
def test_something_is_always_hidden(length: int) -> None:
    """Short images too hide at least one code and at most all."""
    count = draw_hidden(2_000, length, torch.device("cpu")).sum(1)
    assert (int(count.min()), int(count.max())) == (1, length)


def test_missing_prefix_is_refused(model: MaskGIT, batch: tuple[Tensor, Tensor, Tensor]) -> None:
    """A model with a prefix says so."""
    codes, _, hidden = batch
    with pytest.raises(UserError, match="built with a prefix"):
        model.logits(codes, hidden)
