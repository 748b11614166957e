"""The non-autoregressive model: logits, loss, schedule, and its decoding step by step."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from tessera.models.decoder_config import MASK, START
from tessera.models.maskgit import MaskGIT, draw_hidden
from tessera.sampling.filters import code_log_probs, pick
from tessera.sampling.masked import (
    hidden_counts,
    hide_least_confident,
    noise_shape,
    sample_masked,
)
from tests.parity import models
from tests.parity.checks_transformers import smoothing
from tests.parity.models import SPECIALS
from tests.parity.reference_set import ModelVectors, ReferenceSet
from tests.parity.registry import (
    EXACT,
    LOGITS,
    LOSS,
    Measured,
    Quantity,
    gap,
    same,
    source,
    thinned,
)

CHOICE_TEMPERATURE = 4.5
DRAWS = 20_000


class Checks(ModelVectors):
    """The comparisons of one masked model."""

    def model(self) -> MaskGIT:
        """The model."""
        found = models.decoder(self.reference, self.name).model
        assert isinstance(found, MaskGIT)
        return found

    def every_logit(self) -> Tensor:
        """Logits of all positions, the prefix and the start symbol included."""

        def make() -> Tensor:
            sem, ids = (
                self.tensor("sem"),
                self.tensor("input_ids")[:, self.stored("sem").shape[1] :],
            )
            model = self.model()
            with torch.no_grad():
                return model.project(model.transform(model.embed(ids, sem), causal=False))

        return self.reference.once(f"{self.name} logits", make)

    def logits(self) -> Measured:
        """All positions after the prefix; and those of the codes by the model's own method."""
        stored, hidden = self.stored("logits"), models.hidden(self.reference, self.name)
        with torch.no_grad():
            codes = self.model().logits(self.tensor("vq"), hidden, prefix=self.tensor("sem"))
        ways = [
            gap(self.every_logit()[:, self.stored("sem").shape[1] :], stored),
            gap(codes, stored[:, 1:]),
        ]
        return max(ways, key=lambda measured: measured.error)

    def prefix_logits(self) -> Measured:
        """The positions of the prefix."""
        made = self.every_logit()[:, : self.stored("sem").shape[1]]
        return thinned(made, self.stored("logits_prefix_every16"))

    def loss(self, label_smoothing: float, key: str) -> Measured:
        """The loss over the hidden positions, unshifted."""
        hidden = models.hidden(self.reference, self.name)
        with torch.no_grad():
            made = self.model().loss(
                self.tensor("vq"), None, self.tensor("sem"), label_smoothing, hidden
            )
        return gap(made, self.stored(key))

    def input_ids(self) -> Measured:
        """Prefix rows, start symbol, and codes of which some are hidden."""
        hidden = models.hidden(self.reference, self.name)
        ids = (self.tensor("vq") + SPECIALS).masked_fill(hidden, MASK)
        prefix = self.tensor("sem") + self.model().config.prefix_offset
        return same(
            torch.cat((prefix, F.pad(ids, (1, 0), value=START)), 1), self.stored("input_ids")
        )

    def counts(self) -> list[int]:
        """The schedule of the project, of the stored number of steps."""
        for key in ("mask_counts", "argmax_tokens_per_step", "rec_tokens_per_step"):
            if self.reference.has(f"{self.file}:{key}"):
                return hidden_counts(self.stored("vq").shape[1], len(self.stored(key)))
        raise ValueError("no array tells the number of steps")

    @torch.no_grad()
    def steps(self, way: str) -> Measured:
        """Each step from the stored state before it: draws, confidence, what is hidden again."""
        stored = self.tensor(f"{way}_tokens_per_step")
        steps, batch, length = stored.shape
        ids, different = torch.full((batch, length), MASK), 0
        for step, count in enumerate(hidden_counts(length, steps)):
            hidden = ids == MASK
            logits = self.model().logits(
                (ids - SPECIALS).clamp(0), hidden, prefix=self.tensor("sem")
            )
            if way == "rec":
                drawn = torch.where(hidden, self.tensor("rec_sampled_per_step")[step], ids)
            else:
                unused = torch.full((batch, length), 0.5, dtype=torch.float64)
                drawn = torch.where(hidden, pick(logits, unused, 0.0) + SPECIALS, ids)
            if count:
                among_codes = code_log_probs(logits).log_softmax(-1)
                chosen = among_codes.gather(-1, (drawn - SPECIALS)[..., None])[..., 0]
                noise: Tensor | float = 0.0
                if way == "rec":
                    size = CHOICE_TEMPERATURE * (1 - (step + 1) / steps)
                    noise = size * self.tensor("rec_gumbel_per_step")[step]
                drawn = drawn.masked_fill(hide_least_confident(chosen, hidden, noise, count), MASK)
            different += int((drawn != stored[step]).sum())
            ids = stored[step]
        text = f"all {stored.numel()} equal" if not different else f"{different} differ"
        return Measured(float(different), text)

    def by_argmax(self) -> Measured:
        """The engine with argmax draws and without Gumbel noise."""
        batch, length = self.stored("argmax_final").shape
        shape = noise_shape(length, len(self.counts()))
        made = sample_masked(
            self.model(),
            torch.full((batch, *shape), 0.5, dtype=torch.float64),
            prefix=self.tensor("sem"),
            steps=shape[0],
            temperature=0.0,
            choice_temperature=0.0,
        )
        return same(made, self.stored("argmax_final"))

    @torch.no_grad()
    def by_recorded_draws(self) -> Measured:
        """The engine, driven by uniforms that reproduce the recorded draws and Gumbel numbers.

        A draw becomes the middle of its code's interval in the model's cumulative distribution,
        a Gumbel number g the uniform exp(-exp(-g)); both need the logits of the recorded path.
        """
        tokens, model, sem = self.tensor("rec_tokens_per_step"), self.model(), self.tensor("sem")
        steps, batch, length = tokens.shape
        u = torch.full((batch, *noise_shape(length, steps)), 0.5, dtype=torch.float64)
        noise = torch.exp(-torch.exp(-self.tensor("rec_gumbel_per_step").double()))
        u[:, : len(noise), 1] = noise.movedim(0, 1)
        ids = torch.full((batch, length), MASK)
        for step in range(steps):
            hidden = ids == MASK
            logits = model.logits((ids - SPECIALS).clamp(0), hidden, prefix=sem)
            probs = code_log_probs(logits).double().softmax(-1)
            drawn = (self.tensor("rec_sampled_per_step")[step] - SPECIALS).clamp(0)[..., None]
            middle = probs.cumsum(-1).gather(-1, drawn) - probs.gather(-1, drawn) / 2
            u[:, step, 0] = middle[..., 0]
            ids = tokens[step]
        made = sample_masked(
            model, u, prefix=sem, steps=steps, choice_temperature=CHOICE_TEMPERATURE
        )
        return same(made, self.stored("rec_final"))

    def drawn_counts(self) -> Measured:
        """How many codes a training step hides, over many draws: mean and quantiles."""
        fact = lambda key: self.reference.fact(f"{self.name}/train_mask_count_{key}")  # noqa: E731
        length = self.stored("vq").shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            counts = draw_hidden(DRAWS, length, torch.device("cpu")).sum(1).double()
        # Two samples of 20,000: their means differ by less than 5 standard errors, about 1 % of L.
        errors = {"mean": abs(float(counts.mean()) - fact("mean"))}
        quantiles = fact("quantiles")
        if quantiles is not None and len(quantiles) == 5:
            made = counts.quantile(torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95]).double())
            errors["quantiles"] = float((made - torch.tensor(quantiles).double()).abs().max())
        for key, made in (("min", counts.min()), ("max", counts.max())):
            if fact(key) is not None:
                errors[key] = abs(float(made) - fact(key))
        worst = max(errors, key=lambda key: errors[key])
        return Measured(errors[worst] / length, f"{errors[worst]:.2g} of {length} codes ({worst})")

    def quantities(self) -> Iterator[Quantity]:
        """All comparisons, one after the other."""
        name, weights = self.name, f"{self.name}.pt"
        inputs = tuple(f"{self.file}:{key}" for key in ("sem", "vq", "input_ids", "tgt"))
        facts = f"manifest.json:{name}"

        def one(title: str, key: str, bound: float, measure, *needs: str) -> Quantity:
            return Quantity(
                f"{name} {title} ({key})", (f"{self.file}:{key}", weights, *inputs, *needs), bound,
                measure,
            )  # fmt: skip

        recorded = tuple(
            f"{self.file}:rec_{key}_per_step" for key in ("tokens", "sampled", "gumbel")
        )
        yield one("input ids", "input_ids", EXACT, self.input_ids)
        yield one(
            "target ids", "tgt", EXACT,
            lambda: same(
                F.pad(self.tensor("vq") + SPECIALS, (1, 0), value=START), self.stored("tgt")
            ),
        )  # fmt: skip
        yield one(
            "codes", "vq", EXACT,
            lambda: same(self.reference.numpy("vqgan.npz", "codes"), self.stored("vq")),
            "vqgan.npz:codes",
        )  # fmt: skip
        yield one(
            "prefix", "sem", EXACT,
            lambda: same(self.reference.numpy("dino.npz", "tokens256"), self.stored("sem")),
            "dino.npz:tokens256",
        )  # fmt: skip
        yield one("logits", "logits", LOGITS, self.logits)
        yield one("logits of the prefix", "logits_prefix_every16", LOGITS, self.prefix_logits)
        yield one("loss", "loss", LOSS, lambda: self.loss(smoothing(self.reference, name), "loss"))
        yield one("loss without smoothing", "nll", LOSS, lambda: self.loss(0.0, "nll"))
        yield one(
            "hidden counts a step", "mask_counts", EXACT,
            lambda: same(self.counts(), self.stored("mask_counts")),
        )  # fmt: skip
        yield one("steps by argmax", "argmax_tokens_per_step", EXACT, lambda: self.steps("argmax"))
        yield one("decoding by argmax", "argmax_final", EXACT, self.by_argmax)
        yield one(
            "steps with recorded draws", "rec_tokens_per_step", EXACT, lambda: self.steps("rec"),
            *recorded,
        )  # fmt: skip
        yield one(
            "decoding with recorded draws", "rec_final", EXACT, self.by_recorded_draws, *recorded
        )
        for key, made in (
            ("n_masked", lambda: models.hidden(self.reference, name).sum(1)),
            ("mask_counts_after_step", self.counts),
            ("mask_counts_after_step_argmax", self.counts),
        ):
            yield Quantity(
                f"{name} {key}", (f"{facts}/{key}", weights, *inputs), EXACT,
                lambda key=key, made=made: same(made(), self.reference.fact(f"{name}/{key}")),
            )  # fmt: skip
        yield Quantity(
            f"{name} codes hidden in training ({DRAWS} draws)",
            (f"{facts}/train_mask_count_mean", *inputs), 0.02, self.drawn_counts,
        )  # fmt: skip


@source
def masked_quantities(reference: ReferenceSet) -> Iterator[Quantity]:
    """The comparisons of every masked model."""
    for name in reference.stored_models():
        if models.is_masked(reference, name):
            yield from Checks(reference, name).quantities()
