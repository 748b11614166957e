"""Generates images: stage 1 draws tokens, stage 2 draws codes, the autoencoder paints pixels.

Image i depends on the seed and on i alone, so parts and batches can be cut at will.
"""

import sys
from collections.abc import Sequence
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
from tessera.nn.transfer import sent
from tessera.sampling.engine import DTYPES, Engine
from tessera.sampling.masked import noise_shape, sample_masked
from tessera.sampling.noise import uniforms
from tessera.sampling.prepared import prepared
from tessera.stages.job import Job, log, parser, part_file, run
from tessera.stages.loading import load_decoder, load_gpt, load_vqgan
from tessera.stages.tokenizing import find_card

STAGE = "sampling"


class Sampler:
    """The models of a sampling and how they are drawn from.

    Args:
        settings: How.
        stage1: Draws tokens, or codes where there is no stage 2.
        stage2: Draws codes after tokens.
        vqgan: Paints codes; its decoder is cast to the precision of the settings.
        batch: Most images at once.
    """

    def __init__(
        self,
        settings: Sampling,
        stage1: GPT,
        stage2: GPT | MaskGIT | None,
        vqgan: VQGAN,
        batch: int,
    ) -> None:
        require_fit(stage1, stage2, vqgan)
        self.settings, self.config, self.vqgan = settings, stage1.config, vqgan
        self.device = stage1.output.weight.device
        # For both stages in turn: at full size a cache takes more than all else.
        size = max(it.cache_size(batch) for it in (stage1, stage2) if isinstance(it, GPT))
        dtype = DTYPES[settings.precision]
        vqgan.decoder.to(dtype)
        memory = torch.empty(size, dtype=dtype, device=self.device)
        self.stage1 = self._engine(stage1, settings.semantic, batch, memory)
        self.stage2: Engine | MaskGIT | None
        if isinstance(stage2, GPT):
            self.stage2 = self._engine(stage2, settings.codes, batch, memory)
        elif stage2 is None or settings.precision == "float32":
            self.stage2 = stage2
        else:
            self.stage2 = prepared(stage2, 1, dtype)

    def labels(self, ids: range) -> Tensor | None:
        """The class of each image: all classes in turn, or None for an unconditional model."""
        classes = self.config.classes
        return sent(torch.tensor(ids), self.device) % classes if classes else None

    def __call__(self, ids: range) -> "Made":
        """Generates the images with these numbers, without waiting for a GPU."""
        labels = self.labels(ids)
        tokens = self.stage1(self._uniforms("stage1", ids, (self.config.length,)), labels)
        made = {} if labels is None else {"label": labels}
        codes = tokens
        if self.stage2 is not None:
            made["semantic"] = tokens
            codes = self._codes(self.stage2, ids, tokens)
        made["codes"] = codes
        with torch.inference_mode():
            made["images"] = self.vqgan.paint(codes).permute(0, 2, 3, 1).contiguous()
        return Made(made)

    def _codes(self, stage2: Engine | MaskGIT, ids: range, tokens: Tensor) -> Tensor:
        if isinstance(stage2, Engine):
            length = stage2.model.config.length
            return stage2(self._uniforms("stage2", ids, (length,)), prefix=tokens)
        masked = self.settings.masked
        noise = self._uniforms("stage2", ids, noise_shape(stage2.config.length, masked.steps))
        return sample_masked(stage2, noise, None, tokens, **masked.model_dump())

    def _uniforms(self, stream: str, ids: range, shape: tuple[int, ...]) -> Tensor:
        return uniforms(self.settings.seed, stream, ids, shape)

    def _engine(
        self, model: GPT, how: AutoregressiveSampling, batch: int, memory: Tensor
    ) -> Engine:
        precision = self.settings.precision
        return Engine(model, batch, precision=precision, memory=memory, **how.model_dump())


class Made:
    """What was generated, on its way from the GPU, which meanwhile generates more."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        gpu = any(tensor.is_cuda for tensor in tensors.values())
        # Into pinned memory, which torch takes for copies that nothing waits for.
        self.tensors = {name: it.to("cpu", non_blocking=gpu) for name, it in tensors.items()}
        self.copied = torch.cuda.current_stream().record_event() if gpu else None

    def arrays(self) -> dict[str, np.ndarray]:
        """Waits for the copies.

        Returns:
            images uint8 [n, H, W, 3], codes uint16 [n, L], and, where there are such, semantic
            uint16 [n, T] and label int64 [n].
        """
        arrays = {name: tensor.numpy() for name, tensor in self.tensors.items()}
        if self.copied is not None:
            self.copied.synchronize()
            # Pinned memory is dear: the next batch takes it again.
            arrays = {name: array.copy() for name, array in arrays.items()}
        for name in arrays.keys() & {"codes", "semantic"}:
            arrays[name] = arrays[name].astype(np.uint16)
        return arrays


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


def batches(count: int, part: int, parts: int, batch: int) -> list[range]:
    """The image numbers of part `part` of `parts`, in runs of at most `batch`.

    The runs are equally long but for the last, which is shorter by less than there are runs: an
    engine is made for one length, and what is missing is drawn for nothing.
    """
    start, stop = count * part // parts, count * (part + 1) // parts
    if start == stop:
        return []
    runs = -(-(stop - start) // batch)
    size = -(-(stop - start) // runs)
    return [range(first, min(first + size, stop)) for first in range(start, stop, size)]


def generate(sampler: Sampler, runs: Sequence[range]) -> list[dict[str, np.ndarray]]:
    """Generates run after run; a GPU has the next one to do while the last is copied."""
    made: list[dict[str, np.ndarray]] = []
    last = sampler(runs[0])
    for ids in runs[1:]:
        begun = sampler(ids)
        made.append(last.arrays())
        log.info("%d images", ids.start - runs[0].start)
        last = begun
    made.append(last.arrays())
    log.info("%d images", runs[-1].stop - runs[0].start)
    return made


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
    vqgan = load_vqgan(card.parent, device)
    runs = batches(settings.count, arguments.part, arguments.parts, arguments.batch)
    if not runs:
        raise UserError(
            f"{settings.count} images do not fill {arguments.parts} parts: lower "
            "`execution.sampling.parts`"
        )
    made = generate(Sampler(settings, stage1, stage2, vqgan, len(runs[0])), runs)
    part = part_file(arguments.card)
    arrays = {name: np.concatenate([batch[name] for batch in made]) for name in made[0]}
    done = len(arrays["images"])
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
