"""Sequences, logits, losses, hidden states and greedy codes of the autoregressive models."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tessera.models.decoder_config import END
from tessera.models.gpt import GPT
from tessera.sampling.autoregressive import sample_autoregressive
from tests.parity import models
from tests.parity.models import SPECIALS
from tests.parity.reference_set import ModelVectors, ReferenceSet
from tests.parity.registry import (
    EXACT,
    FEATURES,
    LOGITS,
    LOSS,
    Measured,
    Quantity,
    gap,
    same,
    same_text,
    source,
    thinned,
)

PAD = 1


def smoothing(reference: ReferenceSet, name: str) -> float:
    """The label smoothing of a model's loss."""
    return float(reference.fact(f"{name}/label_smoothing", 0.1))


def log_probs(logits: Tensor, ids: Tensor) -> Tensor:
    """Log-probabilities of ids among all symbols."""
    return logits.log_softmax(-1).gather(-1, ids[..., None])[..., 0]


class Checks(ModelVectors):
    """The comparisons of one autoregressive model."""

    def decoder(self) -> models.Decoder:
        """The model with its inputs."""
        return models.decoder(self.reference, self.name)

    def model(self) -> GPT:
        """The model."""
        found = self.decoder().model
        assert isinstance(found, GPT)
        return found

    def logits(self) -> Tensor:
        """Teacher-forced logits of the stored codes."""

        def make() -> Tensor:
            found = self.decoder()
            with torch.no_grad():
                return self.model().logits(found.codes, **found.extra)

        return self.reference.once(f"{self.name} logits", make)

    def loss(self, label_smoothing: float, key: str) -> Measured:
        """The loss, with or without smoothing."""
        found = self.decoder()
        with torch.no_grad():
            made = self.model().loss(found.codes, label_smoothing=label_smoothing, **found.extra)
        return gap(made, self.stored(key))

    def ids(self) -> Tensor:
        """Ids that are fed after a prefix: start symbol or class, then the codes."""
        found, model = self.decoder(), self.decoder().model
        start = model.start(len(found.codes), found.extra.get("labels"))
        return torch.cat((start, model.ids(found.codes)), 1)

    def sequence(self) -> Measured:
        """Ids of the whole input, the prefix's rows before the rest."""
        found = self.decoder()
        ids, key = self.ids(), "src"
        if "prefix" in found.extra:
            key = "input_ids"
            prefix = found.extra["prefix"] + found.model.config.prefix_offset
            ids = torch.cat((prefix, ids), 1)
        return same(ids, self.stored(key))

    def target(self) -> Measured:
        """The codes that the images have, and the end symbol after them."""
        key = "tokens256" if self.name.startswith("stage1") else "codes"
        codes = self.reference.tensor("dino.npz" if key == "tokens256" else "vqgan.npz", key)
        ids = F.pad(codes + SPECIALS, (0, 1), value=END)
        return same(ids, self.stored("tgt"))

    @torch.no_grad()
    def prefix_logits(self) -> Measured:
        """Logits at the positions of the prefix, which nothing else reads."""
        found = self.decoder()
        x = found.model.embed(self.ids(), found.extra["prefix"])
        made = found.model.project(found.model.transform(x, causal=True))
        return thinned(
            made[:, : found.extra["prefix"].shape[1]], self.stored("logits_prefix_every16")
        )

    @torch.no_grad()
    def states(self, last: bool) -> Measured:
        """Hidden states of all layers: the mean over the positions, or the last position."""
        found = self.decoder()
        if not last:
            made = self.model().hidden_states(found.codes, **found.extra)
            return gap(made, self.stored("hidden_mean"), found.note)
        x = self.model().embed(self.ids(), found.extra.get("prefix"))
        made = torch.stack([state[:, -1] for state in self.model().states(x, causal=True)])
        return gap(made, self.stored("hidden_last_position"), found.note)

    def greedy(self) -> Tensor:
        """Greedy codes, decoded with the cache."""

        def make() -> Tensor:
            found = self.decoder()
            numbers = torch.full(found.codes.shape, 0.5, dtype=torch.float64)
            return sample_autoregressive(self.model(), numbers, temperature=0.0, **found.extra)

        return self.reference.once(f"{self.name} greedy", make)

    def hypothesis(self) -> Measured:
        """The greedy ids, the end symbol included."""
        ids = F.pad(self.greedy() + SPECIALS, (0, 1), value=END)
        return same(ids, self.stored("greedy_hypothesis"))

    @torch.no_grad()
    def scores(self) -> Measured:
        """Log-probability of each greedy code and of the end symbol."""
        found = self.decoder()
        codes = self.greedy()
        logits = self.model().logits(codes, **found.extra)
        ids = F.pad(codes + SPECIALS, (0, 1), value=END)
        return gap(log_probs(logits, ids), self.stored("greedy_token_lprob"))

    def text(self) -> Measured:
        """The greedy codes as the original writes them: a line an image, spaces between."""
        made = "".join(" ".join(map(str, row)) + "\n" for row in self.greedy().tolist())
        return same_text(made, (self.reference.folder / f"{self.name}.codecs").read_text())

    @torch.no_grad()
    def beyond(self) -> tuple[list[list[int]], list[int]]:
        """Greedy ids past the usual length, until the end symbol is the most probable."""

        def make() -> tuple[list[list[int]], list[int]]:
            stored, found = self.stored("greedy300_tokens"), self.decoder()
            least, most = found.codes.shape[1], stored.shape[1] - 1
            heads = self.model().config.heads
            model = models.build_decoder(self.reference, self.name, heads, most)
            assert isinstance(model, GPT)
            rows = []
            for image in range(len(stored)):
                extra = {word: value[image : image + 1] for word, value in found.extra.items()}
                cache = model.new_cache(1, torch.float32, torch.device("cpu"))
                logits, ids = model.prefill(cache, **extra)[0], []
                while True:
                    allowed = torch.full_like(logits, -torch.inf)
                    allowed[SPECIALS:] = logits[SPECIALS:]
                    if len(ids) >= least:
                        allowed[END] = logits[END]
                    ids.append(END if len(ids) == most else int(allowed.argmax()))
                    if ids[-1] == END:
                        break
                    if len(ids) < most:
                        code = torch.tensor([ids[-1] - SPECIALS])
                        logits = model.decode(code, len(ids) - 1, cache)[0]
                rows.append(ids)
            return rows, [len(ids) for ids in rows]

        return self.reference.once(f"{self.name} beyond", make)

    def beyond_ids(self) -> Measured:
        """The ids of `beyond`, padded."""
        stored = self.stored("greedy300_tokens")
        padded = [row + [PAD] * (stored.shape[1] - len(row)) for row in self.beyond()[0]]
        return same(np.array(padded), stored)

    @torch.no_grad()
    def facts(self) -> dict[str, Measured]:
        """What the manifest says of logits and greedy codes, compared."""
        found = self.decoder()
        path = self.model().logits(self.greedy(), **found.extra)[:, :-1]
        two = path[..., SPECIALS:].topk(2).values
        usual = self.logits()
        everything = -usual.double().log_softmax(-1)
        target = torch.from_numpy(self.stored("tgt").copy())
        special = (path[..., :SPECIALS].amax(-1) > two[..., 0]).sum()
        margins = two[..., 0] - two[..., 1]
        epsilon = smoothing(self.reference, self.name)
        made: dict[str, Callable[[], object]] = {
            "greedy_min_margin": lambda: margins.min(),
            "greedy_distinct": lambda: [len(row.unique()) for row in self.greedy()],
            "greedy_steps_where_special_would_win": lambda: special,
            "max_abs_logit": lambda: usual.abs().max(),
            "n_loss_tokens": lambda: target.numel(),
            "check_nll": lambda: everything.gather(-1, target[..., None]).mean(),
            "check_uniform": lambda: everything.mean(),
            "loss": lambda: self.model().loss(found.codes, label_smoothing=epsilon, **found.extra),
            "nll": lambda: self.model().loss(found.codes, **found.extra),
            "codecs_line_image0": lambda: self.greedy()[0],
        }
        if self.reference.has(f"{self.file}:greedy300_tokens"):
            made["len_with_max_len_b_300"] = lambda: self.beyond()[1]
        compared = {}
        for key, call in made.items():
            stored = self.reference.fact(f"{self.name}/{key}")
            if isinstance(stored, str):
                stored = [int(code) for code in stored.split()]
            if stored is not None:
                compared[key] = gap(call(), stored)
        return compared

    def quantities(self) -> Iterator[Quantity]:
        """All comparisons, one after the other."""
        name, weights, target = self.name, f"{self.name}.pt", f"{self.file}:tgt"
        labels = [f"{self.file}:cls_ids"] if "cls_ids" in self.reference.keys(self.file) else []

        def one(title: str, key: str, bound: float, measure, *needs: str) -> Quantity:
            return Quantity(
                f"{name} {title} ({key})", (f"{self.file}:{key}", weights, target, *labels, *needs),
                bound, measure,
            )  # fmt: skip

        prefixed = name.startswith("stage2") and not name.endswith("vq")
        first = name.startswith("stage1")
        yield one("input ids", "input_ids" if prefixed else "src", EXACT, self.sequence)
        of = "dino.npz:tokens256" if first else "vqgan.npz:codes"
        yield one("target ids", "tgt", EXACT, self.target, of)
        if not first:
            yield one("codes", "vq", EXACT, lambda: same(self.decoder().codes, self.stored("vq")))
        if prefixed:
            yield one(
                "prefix", "sem", EXACT,
                lambda: same(self.reference.numpy("dino.npz", "tokens256"), self.stored("sem")),
                "dino.npz:tokens256",
            )  # fmt: skip
        yield one(
            "logits", "logits", LOGITS,
            lambda: gap(self.logits(), self.stored("logits"), self.decoder().note),
        )  # fmt: skip
        if prefixed:
            yield one("logits of the prefix", "logits_prefix_every16", LOGITS, self.prefix_logits)
        yield one("loss", "loss", LOSS, lambda: self.loss(smoothing(self.reference, name), "loss"))
        yield one("loss without smoothing", "nll", LOSS, lambda: self.loss(0.0, "nll"))
        if first:
            yield one("hidden states", "hidden_mean", FEATURES, lambda: self.states(False))
            yield one("hidden states", "hidden_last_position", FEATURES, lambda: self.states(True))
        yield one(
            "greedy codes", "greedy_tokens", EXACT,
            lambda: same(self.greedy(), self.stored("greedy_tokens")),
        )  # fmt: skip
        if first:
            yield one("greedy ids", "greedy_hypothesis", EXACT, self.hypothesis)
        if first or prefixed:
            yield one("greedy scores", "greedy_token_lprob", LOGITS, self.scores)
        if first:
            yield one("greedy ids to the end", "greedy300_tokens", EXACT, self.beyond_ids)
            yield one(
                "length to the end", "greedy300_len", EXACT,
                lambda: same(self.beyond()[1], self.stored("greedy300_len")),
                f"{self.file}:greedy300_tokens",
            )  # fmt: skip
            yield Quantity(
                f"{name} greedy codes as text ({name}.codecs)", (f"{name}.codecs", weights, target),
                EXACT, self.text,
            )  # fmt: skip
        yield Quantity(
            f"{name} figures of the manifest", (f"manifest.json:{name}", weights, target), LOGITS,
            lambda: worst(self.facts()),
        )  # fmt: skip


def worst(measured: dict[str, Measured]) -> Measured:
    """The largest error among several."""
    if not measured:
        return Measured(0.0, "none stored")
    key = max(measured, key=lambda key: np.nan_to_num(measured[key].error, nan=np.inf))
    return Measured(
        measured[key].error, f"{len(measured)} compared, worst {key}: {measured[key].text}"
    )


@source
def autoregressive_quantities(reference: ReferenceSet) -> Iterator[Quantity]:
    """The comparisons of every autoregressive model."""
    for name in reference.stored_models():
        if not models.is_masked(reference, name):
            yield from Checks(reference, name).quantities()
