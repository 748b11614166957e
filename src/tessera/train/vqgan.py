"""Trains a VQGAN: reconstruction, a codebook that stays in use, and a patch discriminator.

Papers: VQ-VAE (arXiv 1711.00937), VQGAN (arXiv 2012.09841), hinge loss (arXiv 1705.02894), revival
of unused codes (arXiv 2005.00341, section 3).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tessera.data.batches import batch_indices
from tessera.models.discriminator import PatchDiscriminator
from tessera.models.vqgan import VQGAN
from tessera.train.schedules import cosine

# (reconstructions, originals), both [B, 3, H, W] about [0, 1] -> scalar
ImageDistance = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class VQGANSettings:
    """How the autoencoder is trained.

    Attributes:
        steps: updates in all.
        batch: images an update.
        learning_rate: of the autoencoder, after the warm-up; cosine to `final_learning_rate`.
        final_learning_rate: at the last update.
        warmup: updates of linear warm-up.
        betas: Adam's moment decays, for both networks.
        codebook_weight: of the loss that moves the codes.
        commitment_weight: of the loss that moves the latents (beta of VQ-VAE).
        perceptual_weight: of the distance of features, where one is given.
        matching_weight: of the distance of the discriminator's features, from its start on.
        discriminator_start: update from which the discriminator takes part.
        discriminator_weight: of its loss, before the adaptive weight.
        discriminator_learning_rate: constant.
        revive_every: updates between two revivals of unused codes; 0 for none.
        revive_until: last update with a revival, as a share of all.
        revive_below: a code is unused if it got fewer latents an update on average than this.
        seed: order of the images.
    """

    steps: int
    batch: int
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-5
    warmup: int = 20
    betas: tuple[float, float] = (0.5, 0.9)
    codebook_weight: float = 1.0
    commitment_weight: float = 0.25
    perceptual_weight: float = 1.0
    matching_weight: float = 0.0
    discriminator_start: int = 0
    discriminator_weight: float = 0.8
    discriminator_learning_rate: float = 2e-4
    revive_every: int = 10
    revive_until: float = 0.7
    revive_below: float = 0.5
    seed: int = 0


class VQGANTask:
    """Autoencoder and discriminator, updated in turn, as one task of the training loop."""

    def __init__(
        self,
        model: VQGAN,
        discriminator: PatchDiscriminator,
        images: Tensor,
        settings: VQGANSettings,
        perceptual: ImageDistance | None = None,
    ) -> None:
        """Takes over both networks.

        Args:
            model: fresh, on the device of the training.
            discriminator: fresh, on the same device.
            images: uint8 [N, 3, H, W], on any device.
            settings: how to train.
            perceptual: a frozen distance of image features, such as LPIPS; None leaves it out.
        """
        self.model, self.discriminator = model, discriminator
        self.images, self.settings, self.perceptual = images, settings, perceptual
        self.device = model.quantize.embedding.weight.device
        self.optimizer = torch.optim.Adam(model.parameters(), lr=0.0, betas=settings.betas)
        self.discriminator_optimizer = torch.optim.Adam(
            discriminator.parameters(),
            lr=settings.discriminator_learning_rate,
            betas=settings.betas,
        )
        # Latents that fell to each code since the last revival.
        self.usage = torch.zeros(model.config.codes, device=self.device)

    def update(self, step: int) -> dict[str, Tensor]:
        """One update of the autoencoder, then one of the discriminator once it takes part."""
        s = self.settings
        chosen = batch_indices(len(self.images), s.batch, s.seed, step)
        images = self.images[chosen.to(self.images.device)].to(self.device).float() / 255
        adversarial = step >= s.discriminator_start and s.discriminator_weight > 0
        rate = cosine(step, s.learning_rate, s.warmup, s.steps, s.final_learning_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = rate

        output = self.model(images)
        metrics = {"l1": F.l1_loss(output.images, images)}
        loss = metrics["l1"]
        if self.perceptual is not None:
            metrics["perceptual"] = self.perceptual(output.images, images)
            loss = loss + s.perceptual_weight * metrics["perceptual"]
        if adversarial:
            loss, extra = self._adversarial(loss, output.images, images)
            metrics |= extra
        metrics["codebook_loss"] = output.codebook_loss
        loss = loss + s.codebook_weight * output.codebook_loss
        loss = loss + s.commitment_weight * output.commitment_loss
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()

        if adversarial:
            metrics["discriminator_loss"] = self._update_discriminator(images, output.images)
        counts = torch.bincount(output.codes.flatten(), minlength=self.model.config.codes)
        self.usage += counts
        metrics["code_perplexity"] = code_perplexity(counts)
        if self._revives(step):
            metrics["revived"] = self._revive(output.latents)
        metrics |= {"loss": loss, "learning_rate": torch.tensor(rate)}
        return {name: value.detach() for name, value in metrics.items()}

    def _adversarial(
        self, reconstruction: Tensor, made: Tensor, images: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Adds the generator's losses to the reconstruction loss."""
        s = self.settings
        self.discriminator.requires_grad_(False)
        features = self.discriminator.features(made)
        metrics = {}
        if s.matching_weight > 0:
            with torch.no_grad():
                wanted = self.discriminator.features(images)
            pairs = zip(features, wanted, strict=True)
            metrics["matching"] = torch.stack([F.l1_loss(a, b) for a, b in pairs]).mean()
            reconstruction = reconstruction + s.matching_weight * metrics["matching"]
        generator = -self.discriminator.conv_out(features[-1]).mean()
        weight = adaptive_weight(reconstruction, generator, self.model.decoder.conv_out.weight)
        metrics |= {"generator_loss": generator, "adaptive_weight": weight}
        return reconstruction + s.discriminator_weight * weight * generator, metrics

    def _update_discriminator(self, images: Tensor, made: Tensor) -> Tensor:
        """One update on the hinge loss; the images that were made are taken as given."""
        self.discriminator.requires_grad_(True)
        scores = self.discriminator(torch.cat([images, made.detach()]))
        loss = hinge_loss(*scores.chunk(2))
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.discriminator_optimizer.step()
        return loss

    def _revives(self, step: int) -> bool:
        s = self.settings
        every = s.revive_every
        return every > 0 and (step + 1) % every == 0 and step < s.revive_until * s.steps

    @torch.no_grad()
    def _revive(self, latents: Tensor) -> Tensor:
        """Puts unused codes onto random latents of the batch; returns how many.

        No synchronisation with the host: the replacement is drawn for all codes and taken where a
        code is unused. Adam's moments of a moved code are set to 0.
        """
        s = self.settings
        table = self.model.quantize.embedding.weight
        found = latents.detach().permute(0, 2, 3, 1).flatten(0, 2)  # (B*h*w, Z)
        picked = torch.randint(len(found), (len(table),), device=self.device)
        unused = self.usage < s.revive_below * s.revive_every  # (K,)
        table.copy_(torch.where(unused[:, None], found[picked], table))
        for moment in self.optimizer.state[table].values():
            if moment.shape == table.shape:
                moment.masked_fill_(unused[:, None], 0.0)
        self.usage.zero_()
        return unused.sum()

    def state_dict(self) -> dict[str, Any]:
        """Both networks, both optimisers and the counts of the codes."""
        return {
            "model": self.model.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
            "usage": self.usage,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Puts a saved state back."""
        self.model.load_state_dict(state["model"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])
        self.usage.copy_(state["usage"])


def hinge_loss(real: Tensor, made: Tensor) -> Tensor:
    """The discriminator's loss: (E[max(0, 1 - real)] + E[max(0, 1 + made)]) / 2."""
    return (F.relu(1 - real).mean() + F.relu(1 + made).mean()) / 2


def adaptive_weight(reconstruction: Tensor, generator: Tensor, last: Tensor) -> Tensor:
    """How much the adversarial loss counts (VQGAN, eq. 7), without a gradient of its own.

    The norm of the reconstruction loss's gradient at the decoder's last layer over that of the
    generator's loss, so that both pull equally; at most 10^4.
    """
    (pull,) = torch.autograd.grad(reconstruction, last, retain_graph=True)
    (push,) = torch.autograd.grad(generator, last, retain_graph=True)
    return (pull.norm() / (push.norm() + 1e-6)).clamp(max=1e4).detach()


def code_perplexity(counts: Tensor) -> Tensor:
    """2 to the entropy in bits of how often each code is used: 1 to K."""
    share = counts / counts.sum()
    return (-torch.xlogy(share, share).sum()).exp()
