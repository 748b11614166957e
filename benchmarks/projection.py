"""What an ImageNet recipe would cost: floating-point operations, GPU-hours and disk, by arithmetic.

    python benchmarks/projection.py configs/imagenet-digit-base-uncond.yaml

Nothing is run: the networks are built without memory and their operations counted (matrix products
and convolutions; a training step counts three forward passes). Hours are operations over what the
GPU is assumed to sustain, not measured: `--bf16` for what runs in bfloat16, `--fp32` for the rest.
An encoder has the sizes of its imported weights where they are there, otherwise those that its name
says. Other published models are not counted; neither are K-Means' updates, evaluation and the
decoding of JPEGs.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from tessera.config import lineage
from tessera.config.load import load
from tessera.config.published import imported_sizes
from tessera.config.schema import Config
from tessera.config.tokenizers import Encoder, PublishedEncoder, Reading, TrainedEncoder
from tessera.config.training import TrainedStage1, TrainedStage2
from tessera.errors import UserError
from tessera.models.gpt import GPT, GPTConfig
from tessera.models.maskgit import MaskGITConfig
from tessera.models.vit import DINOV2_SIZES, VisionTransformer, ViTConfig
from tessera.models.vqgan import VQGAN, VQGANConfig
from tessera.stages import stage1, stage2
from tessera.stages.training import GLANCE

TRAIN, VALIDATION, CLASSES, LENGTH = 1_281_167, 50_000, 1000, 256
CODES = VQGANConfig().codes
PIXELS = 3 * 256**2
TABLE = 37
"""Patches along a side of the position table that an encoder known by its name alone gets."""


def count(work: Callable[[], Any]) -> float:
    """Floating-point operations of a piece of work, a multiplication and an addition as two."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def encoder_sizes(name: str, encoder: Encoder) -> ViTConfig:
    """The sizes of an encoder: of its settings, its imported weights, or by what it is called.

    Args:
        name: the variant's.
        encoder: its settings.

    Raises:
        UserError: nothing tells them.
    """
    if isinstance(encoder, TrainedEncoder):
        return ViTConfig(**encoder.model.model_dump())
    called = [encoder.path if isinstance(encoder, PublishedEncoder) else encoder.model, name]
    if isinstance(encoder, PublishedEncoder):
        imported = imported_sizes(encoder.path)
        if {"width", "depth", "heads", "patch_size"} <= imported.keys():
            sizes: dict[str, Any] = {
                field.name: imported[field.name]
                for field in fields(ViTConfig)
                if field.name in imported and field.name not in ("mean", "std")  # lists in JSON
            }
            return ViTConfig(**sizes)
    for words in map(str.lower, called):
        size = re.search(r"small|base|large", words)
        if size:
            patch = re.search(r"patch(\d+)", words)
            side = int(patch[1]) if patch else 14
            found = DINOV2_SIZES[f"dinov2_{size[0]}"]
            return replace(found, patch_size=side, image_size=TABLE * side)
    raise UserError(
        f"nothing tells the sizes of the encoder {name} (small, base or large in {called[0]} or in "
        "its name): import its weights first, or give a name that does"
    )


def encoder_operations(config: Config, reading: Reading, views: str) -> float:
    """Of one image of some views, up to the block that is read."""
    sizes = encoder_sizes(reading.encoder, config.encoders[reading.encoder])
    model, side = VisionTransformer(sizes), reading.input_size or config.views[views].crop
    return count(lambda: model.features(torch.empty(1, 3, side, side), reading.layer))


def validated(steps: int, log_every: int) -> int:
    """Validation images that a training passes: some at each line of its log, all at its end."""
    lines = {1, steps, *range(log_every, steps + 1, log_every)}
    return len(lines) * min(GLANCE, VALIDATION) + VALIDATION


def decoder_operations(config: GPTConfig) -> float:
    """Of one image's forward pass with all its codes given."""
    model, codes = GPT(config), torch.zeros(1, config.length, dtype=torch.long)
    labels = codes[:, 0] if config.classes else None
    prefix = codes if config.prefix_length else None
    return count(lambda: model.logits(codes, labels, prefix))


def rows(config: Config) -> list[dict[str, Any]]:
    """One a variant: `operations` with their arithmetic, and `bytes` on the disk."""
    found = []
    vqgan = VQGAN(VQGANConfig())
    encode = count(lambda: vqgan.encode(torch.empty(1, 3, 256, 256)))
    decode = count(lambda: vqgan.decode_codes(torch.zeros(1, LENGTH, dtype=torch.long)))
    forward: dict[str, float] = {}
    clusters = {name: getattr(entry, "clusters", 8192) for name, entry in config.codebooks.items()}

    def add(what: str, operations: float, size: float, bf16: bool = False) -> None:
        found.append({"what": what, "operations": operations, "bytes": size, "bf16": bf16})

    for name, features in config.features.items():
        width = encoder_sizes(features.encoder, config.encoders[features.encoder]).width
        operations = TRAIN * encoder_operations(config, features, features.views)
        bf16 = features.precision == "bfloat16"
        add(f"features {name}", operations, features.points * width * 2, bf16)
    for name, codebook in config.codebooks.items():
        if codebook.kind == "fitted":
            features = config.features[codebook.features]
            width = encoder_sizes(features.encoder, config.encoders[features.encoder]).width
            products = 2 * features.points * codebook.clusters * width
            add(f"codebook {name}", codebook.iterations * products, codebook.clusters * width * 4)
    for name, tokens in config.tokens.items():
        images = TRAIN * config.views[tokens.views].count + VALIDATION
        one, bf16 = encode, False
        if tokens.codebook is not None:
            reading = lineage.reading_of_codebook(config, tokens.codebook)
            one = encoder_operations(config, reading, tokens.views)
            bf16 = reading.precision == "bfloat16"
        add(f"tokens {name}", images * one, images * LENGTH * 2, bf16)
    for name, first in config.stage1.items():
        section, tokenizer = lineage.tokenizer_of_stage1(config, name)
        vocabulary = clusters[tokenizer] if section == "codebooks" else CODES
        if isinstance(first, TrainedStage1):
            sizes = stage1.model_config(first, vocabulary, LENGTH, CLASSES)
            _add_training(add, forward, f"stage1 {name}", first, sizes, config.log_every)
    for name, second in config.stage2.items():
        if isinstance(second, TrainedStage2):
            (_, semantic), _ = lineage.tokenizers_of_stage2(config, name)
            shape = stage2.model_config(second, (CODES, LENGTH), (clusters[semantic], LENGTH))
            _add_training(add, forward, f"stage2 {name}", second, shape, config.log_every)
    for name, sampling in config.samplings.items():
        # Keys and values are cached, so a decode does the work of one forward pass; MaskGIT's
        # does one a step.
        one = forward.get(f"stage1 {sampling.stage1}", 0.0)
        if sampling.stage2 is not None:
            masked = config.stage2[sampling.stage2].kind == "masked"
            passes = sampling.masked.steps if masked else 1
            one += passes * forward.get(f"stage2 {sampling.stage2}", 0.0)
        size = sampling.count * PIXELS * 2  # the parts and the joined set
        add(f"sampling {name}", sampling.count * (one + decode), size)
    for name, probe in config.probes.items():
        for model in probe.stage1:
            one = forward.get(f"stage1 {model}", 0.0)
            add(f"probe {name}", probe.steps * probe.batch * one, 0, probe.precision == "bfloat16")
    return found


def _add_training(
    add: Callable[..., None],
    forward: dict[str, float],
    what: str,
    variant: TrainedStage1 | TrainedStage2,
    sizes: GPTConfig | MaskGITConfig,
    log_every: int,
) -> None:
    plain = GPTConfig(**sizes.__dict__)  # both decoders do the same work
    forward[what] = decoder_operations(plain)
    parameters = sum(p.numel() for p in GPT(plain).parameters())
    training = variant.training
    passes = 3 * training.steps * training.batch + validated(training.steps, log_every)
    operations = forward[what] * passes
    # float32 weights; while it runs also a checkpoint of weights and both moments.
    add(what, operations, 4 * 4 * parameters, training.precision == "bfloat16")


def main() -> int:
    """Prints the rows as JSON, with hours."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--bf16", type=float, default=316.0, help="TFLOP/s: 40 %% of 790")
    parser.add_argument("--fp32", type=float, default=35.0, help="TFLOP/s, without TF32")
    arguments = parser.parse_args()
    try:
        with torch.device("meta"):
            found = rows(load([arguments.config]))
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    for row in found:
        speed = arguments.bf16 if row.pop("bf16") else arguments.fp32
        row["gpu_hours"] = round(row["operations"] / (speed * 1e12) / 3600, 1)
        row["gigabytes"] = round(row.pop("bytes") / 1e9, 2)
        row["operations"] = float(f"{row['operations']:.3g}")
    total = {key: round(sum(row[key] for row in found), 1) for key in ("gpu_hours", "gigabytes")}
    assumed = {"bf16_tflops": arguments.bf16, "fp32_tflops": arguments.fp32}
    print(json.dumps({"config": arguments.config.name, "assumed": assumed, "total": total,
                      "jobs": found}, indent=1))  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
