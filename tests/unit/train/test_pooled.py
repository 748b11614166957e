"""Mean-pooled hidden states of the images of a token set."""

import pytest
import torch
from torch import Tensor

from tessera.data.tokens import TokenSet, draw_batch
from tessera.models.gpt import GPT, GPTConfig
from tessera.train.pooled import PooledStates, pooled_bytes
from tessera.train.probe import Batch, ProbeTask

N, V, L, K, D, LAYERS = 23, 3, 6, 11, 16, 2


@pytest.fixture(scope="module")
def model() -> GPT:
    """A random model, frozen."""
    torch.manual_seed(1)
    config = GPTConfig(
        vocabulary=K, length=L, width=D, layers=LAYERS, heads=4, ffn=32, max_positions=L + 1,
        dropout=0.1, norm="post",
    )  # fmt: skip
    return GPT(config).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def tokens() -> TokenSet:
    """Random tokens."""
    torch.manual_seed(2)
    codes = torch.randint(K, (N, V, L), dtype=torch.int32)
    return TokenSet(codes, torch.randint(4, (N,)), torch.arange(N), K, list("abcd"))


def expected(model: GPT, codes: Tensor) -> Tensor:
    """States [layers + 1, D] of one image: the residual stream, block after block."""
    ids = torch.cat((torch.tensor([2]), codes.long() + 5))[None]  # start symbol, codes
    positions = model.positions.weight[2 : 3 + L]
    x = D**0.5 * model.tokens.weight[ids] + positions
    states = [x.mean(1)[0]]
    for layer in model.layers:
        x = layer(x, causal=True)
        states.append(x.mean(1)[0])
    return torch.stack(states)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_states_of_the_chosen_views(model: GPT, tokens: TokenSet, keep: bool, chunk: int) -> None:
    """Each image's state is that of the view asked for, whether kept or made anew."""
    states = PooledStates(model, tokens, chunk, keep=keep)
    images, views = torch.tensor([7, 0, 22, 7, 7]), torch.tensor([0, 2, 1, 1, 2])
    found = states(images, views)
    assert (states.kept_LNVD is not None) == keep
    assert found.shape == (LAYERS + 1, 5, D)
    for place, (image, view) in enumerate(zip(images, views, strict=True)):
        wanted = expected(model, tokens.codes[image, view])
        torch.testing.assert_close(found[:, place], wanted, atol=2e-5, rtol=0)
    assert not found.is_inference()
    assert not found.requires_grad


@pytest.mark.parametrize("keep", [False, True])
def test_batches_are_the_first_views_in_order(model: GPT, tokens: TokenSet, keep: bool) -> None:
    """Validation sees each image once."""
    states = PooledStates(model, tokens, 5, keep=keep, views=1)
    pieces = list(states.batches(7))
    assert [len(labels) for _, labels in pieces] == [7, 7, 7, 2]
    assert torch.equal(torch.cat([labels for _, labels in pieces]), tokens.labels)
    found = torch.cat([features for features, _ in pieces], dim=1)
    wanted = torch.stack([expected(model, codes[0]) for codes in tokens.codes], dim=1)
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=0)


def test_bytes_are_those_of_what_is_kept(model: GPT, tokens: TokenSet) -> None:
    """And at full size 89 GB: 17 layers, 1,281,167 images, width 1,024."""
    kept = PooledStates(model, tokens, 9, keep=True).kept_LNVD
    assert kept is not None
    assert pooled_bytes(model, tokens) == kept.nbytes
    first = PooledStates(model, tokens, 9, keep=True, views=1).kept_LNVD
    assert first is not None
    assert pooled_bytes(model, tokens, views=1) == first.nbytes == kept.nbytes // V


def test_bfloat16_is_close_and_comes_as_float32(model: GPT, tokens: TokenSet) -> None:
    """bfloat16 keeps 8 bits: the states part by a few parts in a thousand, and do part."""
    images = torch.arange(N)
    exact = PooledStates(model, tokens, 8)(images, torch.zeros_like(images))
    rounded = PooledStates(model, tokens, 8, torch.bfloat16)(images, torch.zeros_like(images))
    assert rounded.dtype == torch.float32
    error = (rounded - exact).norm() / exact.norm()
    assert 1e-5 < error < 2e-2


def test_probes_of_either_path_agree(model: GPT, tokens: TokenSet) -> None:
    """Kept or made anew: the same weights within rounding, the same accuracies."""
    tasks = []
    for keep in (False, True):
        states = PooledStates(model, tokens, 4, keep=keep)

        def draw(step: int, states: PooledStates = states) -> Batch:
            images, views = draw_batch(N, V, 8, 3, step)
            return states(images, views), tokens.labels[images]

        made = ProbeTask(draw, LAYERS + 1, D, 4, 60, seed=5)
        for step in range(60):
            made.update(step)
        tasks.append((made, made.validate(states.batches(8))))
    (anew, first), (kept, second) = tasks
    torch.testing.assert_close(anew.weight_LKD, kept.weight_LKD, atol=1e-4, rtol=1e-4)
    assert first.accuracy == second.accuracy
    assert anew.weight_LKD.std() > 0.03  # 0.01 at first: the probes have learnt something
