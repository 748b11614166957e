"""Generates images: stage 1 draws tokens, stage 2 draws codes, the autoencoder paints pixels.

Image i depends on the seed and on i alone, so parts and batches can be cut at will.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tessera.config.lineage import drawn_node
from tessera.config.results import AutoregressiveSampling, Sampling
from tessera.errors import UserError
from tessera.io.parts import write_part
from tessera.io.weights import read_model_config
from tessera.models.gpt import GPT
from tessera.models.maskgit import MaskGIT
from tessera.models.vqgan import VQGAN
from tessera.sampling.autoregressive import sample_autoregressive
from tessera.sampling.masked import noise_shape, sample_masked
from tessera.sampling.noise import uniforms
from tessera.stages.job import Job, log, parser, part_file, run
from tessera.stages.loading import load_decoder, load_gpt, load_vqgan
from tessera.stages.tokenizing import find_card

STAGE = "sampling"


class Sampler:
    """The models of a sampling and how they are drawn from."""

    def __init__(
        self, settings: Sampling, stage1: GPT, stage2: GPT | MaskGIT | None, vqgan: VQGAN
    ) -> None:
        self.settings, self.stage1, self.stage2, self.vqgan = settings, stage1, stage2, vqgan
        require_fit(stage1, stage2, vqgan)

    def labels(self, ids: range) -> Tensor | None:
        """The class of each image: all classes in turn, or None for an unconditional model."""
        classes = self.stage1.config.classes
        device = self.stage1.output.weight.device
        return torch.tensor(ids, device=device) % classes if classes else None

    def __call__(self, ids: range) -> dict[str, np.ndarray]:
        """Generates the images with these numbers.

        Returns:
            images uint8 [n, H, W, 3], codes uint16 [n, L], and, where there are such, semantic
            uint16 [n, T] and label int64 [n].
        """
        labels = self.labels(ids)
        tokens = self._draw(self.stage1, "stage1", ids, self.settings.semantic, labels, None)
        made = {}
        if labels is not None:
            made["label"] = labels.cpu().numpy()
        if self.stage2 is None:
            codes = tokens
        else:
            made["semantic"] = tokens.cpu().numpy().astype(np.uint16)
            if isinstance(self.stage2, GPT):
                codes = self._draw(self.stage2, "stage2", ids, self.settings.codes, None, tokens)
            else:
                masked = self.settings.masked
                shape = noise_shape(self.stage2.config.length, masked.steps)
                codes = sample_masked(
                    self.stage2,
                    uniforms(self.settings.seed, "stage2", ids, shape),
                    None,
                    tokens,
                    steps=masked.steps,
                    temperature=masked.temperature,
                    choice_temperature=masked.choice_temperature,
                )
        made["codes"] = codes.cpu().numpy().astype(np.uint16)
        with torch.inference_mode():
            pixels = self.vqgan.decode_codes(codes)  # [n, 3, H, W], about [0, 1]
        # Truncated, not rounded, as DiGIT writes its images.
        made["images"] = (pixels * 255).clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
        return made

    def _draw(
        self,
        model: GPT,
        stream: str,
        ids: range,
        how: AutoregressiveSampling,
        labels: Tensor | None,
        prefix: Tensor | None,
    ) -> Tensor:
        noise = uniforms(self.settings.seed, stream, ids, (model.config.length,))
        return sample_autoregressive(
            model, noise, labels, prefix,
            temperature=how.temperature, top_k=how.top_k, top_p=how.top_p,
        )  # fmt: skip


def require_fit(stage1: GPT, stage2: GPT | MaskGIT | None, vqgan: VQGAN) -> None:
    """Checks that each model draws what the next one reads.

    Raises:
        UserError: vocabularies or lengths differ.
    """
    drawn = (stage1.config.vocabulary, stage1.config.length)
    if stage2 is not None:
        read = (stage2.config.prefix_vocabulary, stage2.config.prefix_length)
        if drawn != read:
            raise UserError(
                f"stage 1 draws {drawn[1]} tokens of {drawn[0]}, stage 2 reads {read[1]} of "
                f"{read[0]}: sample with two models of one codebook"
            )
        drawn = (stage2.config.vocabulary, stage2.config.length)
    codes, length = drawn
    if codes != vqgan.config.codes or length != vqgan.config.grid**2:
        raise UserError(
            f"{length} codes of {codes} are drawn, the autoencoder paints {vqgan.config.grid**2} "
            f"of {vqgan.config.codes}: sample with models of this autoencoder"
        )


def batches(count: int, part: int, parts: int, batch: int) -> Iterator[range]:
    """The image numbers of part `part` of `parts`, in runs of at most `batch`."""
    start, stop = count * part // parts, count * (part + 1) // parts
    for first in range(start, stop, batch):
        yield range(first, min(first + batch, stop))


def work(job: Job) -> None:
    """Generates one part."""
    arguments, inputs = job.arguments, job.node["inputs"]
    settings = job.settings(Sampling)
    device = arguments.device
    stage1_card = find_card(job, arguments.models, inputs["stage1"], "stage1")
    stage1 = load_gpt(stage1_card.parent, device)
    stage2, painter = None, drawn_node(inputs["stage1"])
    if "stage2" in inputs:
        card = find_card(job, arguments.models, inputs["stage2"], "stage2")
        stage2 = load_decoder(card.parent, device)
        painter = drawn_node(inputs["stage2"])
    card = find_card(job, arguments.models, painter, "autoencoder")
    sampler = Sampler(settings, stage1, stage2, load_vqgan(card.parent, device))
    made: list[dict[str, np.ndarray]] = []
    done = 0
    for ids in batches(settings.count, arguments.part, arguments.parts, arguments.batch):
        made.append(sampler(ids))
        done += len(ids)
        log.info("%d images", done)
    if not made:
        raise UserError(
            f"{settings.count} images do not fill {arguments.parts} parts: lower "
            "`execution.sampling.parts`"
        )
    part = part_file(arguments.card)
    arrays = {name: np.concatenate([batch[name] for batch in made]) for name in made[0]}
    classes = read_model_config(stage1_card.parent, "GPT")["classes"]
    write_part(part, arrays, {"classes": classes})
    job.finish(arguments.card, [part], {"images": done})


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the stage from the command line."""
    arguments = parser(STAGE, __doc__, parts=True)
    arguments.add_argument(
        "--models", type=Path, nargs="+", required=True, help="cards of all models, in any order"
    )
    return run(STAGE, arguments.parse_args(argv), work)


if __name__ == "__main__":
    sys.exit(main())
