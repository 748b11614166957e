"""The training of the VQGAN."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from tessera.models.discriminator import DiscriminatorConfig, PatchDiscriminator
from tessera.models.vqgan import VQGAN, VQGANConfig
from tessera.train.loop import seed_update
from tessera.train.vqgan import (
    ImageDistance,
    VQGANSettings,
    VQGANTask,
    adaptive_weight,
    code_perplexity,
    hinge_loss,
)

CONFIG = VQGANConfig(
    resolution=16,
    channels=8,
    multipliers=(1, 1, 2),
    residual_blocks=1,
    codes=32,
    code_width=4,
    norm_groups=4,
)
SETTINGS = VQGANSettings(steps=12, batch=4, warmup=2, revive_every=3)


def task(settings: VQGANSettings = SETTINGS, perceptual: ImageDistance | None = None) -> VQGANTask:
    torch.manual_seed(0)
    coarse = torch.randint(256, (10, 3, 4, 4), dtype=torch.uint8)
    images = coarse.repeat_interleave(4, 2).repeat_interleave(4, 3)
    discriminator = PatchDiscriminator(DiscriminatorConfig(channels=4, layers=1, norm_groups=4))
    return VQGANTask(VQGAN(CONFIG), discriminator, images, settings, perceptual)


def run(trained: VQGANTask, first: int, last: int) -> dict[str, torch.Tensor]:
    for step in range(first, last):
        seed_update(0, step)
        metrics = trained.update(step)
    return metrics


def test_hinge_loss() -> None:
    """Only scores inside the margin cost something."""
    real, made = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 1.0])
    assert hinge_loss(real, made) == ((0 + 0.5) / 2 + (0 + 2) / 2) / 2
    assert hinge_loss(torch.tensor([1.0]), torch.tensor([-1.0])) == 0


def test_adaptive_weight_is_the_ratio_of_pulls() -> None:
    """For losses 6 a.w and 2 b.w with |a| = |b| it is 3, and it carries no gradient."""
    last = torch.zeros(2, requires_grad=True)
    weight = adaptive_weight(6 * last[0], 2 * last[1], last)
    assert weight.item() == pytest.approx(3.0, rel=1e-5)
    assert not weight.requires_grad
    still = adaptive_weight(last[0], 0 * last[1], last)
    assert still == 1e4  # a discriminator without any pull does not blow the loss up


def test_code_perplexity() -> None:
    """N codes used equally have perplexity n; unused ones do not count."""
    assert code_perplexity(torch.tensor([5, 5, 0, 5])).item() == pytest.approx(3.0)
    assert code_perplexity(torch.tensor([9, 0])).item() == pytest.approx(1.0)
    expected = 2 ** (0.75 * math.log2(4 / 3) + 0.25 * 2)
    assert code_perplexity(torch.tensor([3, 1])).item() == pytest.approx(expected)


def test_revival_puts_unused_codes_onto_latents() -> None:
    """Codes below the threshold become latents of the batch; the others stay; counts restart."""
    trained = task(replace(SETTINGS, revive_below=0.5))
    run(trained, 0, 1)
    table = trained.model.quantize.embedding.weight
    before = table.detach().clone()
    trained.usage = torch.arange(32.0)  # 0 and 1 lie below 0.5 x 3 updates
    latents = torch.randn(2, 4, 4, 4)
    assert trained._revive(latents) == 2
    assert torch.equal(table[2:], before[2:])
    rows = latents.permute(0, 2, 3, 1).reshape(-1, 4)
    for code in (0, 1):
        assert (rows == table[code]).all(1).any()
    assert not trained.usage.any()
    moments = trained.optimizer.state[table]
    assert not moments["exp_avg"][:2].any()


def test_revival_keeps_the_schedule() -> None:
    """Every third update up to 70 % of the training revives, no other."""
    trained = task(replace(SETTINGS, steps=10))
    assert [step for step in range(10) if trained._revives(step)] == [2, 5]
    assert not any(task(replace(SETTINGS, revive_every=0))._revives(step) for step in range(9))


def test_discriminator_waits_for_its_start() -> None:
    """Before its start the discriminator does not move and no adversarial loss is made."""
    trained = task(replace(SETTINGS, discriminator_start=2))
    before = [p.clone() for p in trained.discriminator.parameters()]
    assert "generator_loss" not in run(trained, 0, 2)
    assert all(map(torch.equal, before, trained.discriminator.parameters()))
    assert "generator_loss" in run(trained, 2, 3)
    assert not all(map(torch.equal, before, trained.discriminator.parameters()))


def test_loss_without_discriminator() -> None:
    """The loss is L1 + codebook + a quarter of commitment, and a perceptual distance if given."""
    settings = replace(SETTINGS, discriminator_weight=0.0, perceptual_weight=3.0)
    trained = task(settings, perceptual=F.mse_loss)
    metrics = run(trained, 0, 1)
    expected = metrics["l1"] + 1.25 * metrics["codebook_loss"] + 3 * metrics["perceptual"]
    torch.testing.assert_close(metrics["loss"], expected)


def test_feature_matching() -> None:
    """The distance of the discriminator's features joins the loss when it has a weight."""
    assert "matching" in run(task(replace(SETTINGS, matching_weight=1.0)), 0, 1)
    assert "matching" not in run(task(), 0, 1)


def test_resumed_run_is_the_undisturbed_one() -> None:
    """Saved after 5 of 12 updates, between revivals, the end is the same bit for bit."""
    settings = replace(SETTINGS, discriminator_start=4)
    whole = task(settings)
    run(whole, 0, 12)
    first = task(settings)
    run(first, 0, 5)
    second = task(settings)
    second.load_state_dict(first.state_dict())
    run(second, 5, 12)
    for network in ("model", "discriminator"):
        ours, theirs = getattr(second, network), getattr(whole, network)
        for name, value in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], value), name
    assert torch.equal(second.usage, whole.usage)


def test_training_learns() -> None:
    """The reconstruction error falls below that of the best constant image."""
    settings = replace(SETTINGS, steps=60, batch=10, learning_rate=1e-2, discriminator_start=50)
    trained = task(settings)
    images = trained.images.float() / 255
    constant = (images - images.median()).abs().mean()
    metrics = run(trained, 0, 60)
    assert metrics["l1"] < 0.8 * constant
    assert metrics["code_perplexity"] > 8
    assert all(value.ndim == 0 and not value.requires_grad for value in metrics.values())
