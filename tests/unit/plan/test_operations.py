"""Operations by arithmetic against those that torch counts in the networks themselves."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tessera.config.networks import DiscriminatorShape, ViTShape, VQGANShape
from tessera.models.classifier import Classifier, ClassifierConfig
from tessera.models.dino_head import DINOHead
from tessera.models.discriminator import DiscriminatorConfig, PatchDiscriminator
from tessera.models.gpt import GPT, GPTConfig
from tessera.models.maskgit import MaskGIT, MaskGITConfig
from tessera.models.vit import DINOV2_SIZES, VisionTransformer, ViTConfig
from tessera.models.vqgan import VQGAN, VQGANConfig
from tessera.plan import convolutions, transformers
from tessera.plan.models import DECODERS, MAGE, VISION
from tessera.plan.transformers import SPECIALS, DecoderSize

DECODER = [
    {"vocabulary": 8192, "length": 256, "norm": "post", "max_positions": 1024, **DECODERS["base"]},
    {"vocabulary": 60, "length": 16, "norm": "pre", "width": 64, "layers": 2, "ffn": 128,
     "max_positions": 40, "prefix_vocabulary": 90, "prefix_length": 9},
    {"vocabulary": 60, "length": 16, "norm": "post", "width": 64, "layers": 3, "ffn": 256,
     "max_positions": 17, "classes": 10},
]  # fmt: skip
"""The base model, a stage 2, a model with classes."""


def counted(work: Callable[[], Any]) -> float:
    """Operations of a piece of work, by torch."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def inputs(size: DecoderSize, device: str) -> tuple[Any, Any, Any]:
    """Codes, classes and prefix of one image."""
    codes = torch.zeros(1, size.length, dtype=torch.long, device=device)
    prefix = torch.zeros(1, size.prefix_length, dtype=torch.long, device=device)
    return codes, codes[:, 0] if size.classes else None, prefix if size.prefix_length else None


@pytest.mark.parametrize("sizes", DECODER)
def test_decoders(sizes: dict[str, Any]) -> None:
    """Autoregressive and masked; as many weights as the network has."""
    size = DecoderSize(**sizes)
    codes, labels, prefix = inputs(size, "meta")
    with torch.device("meta"), torch.no_grad():
        model = GPT(GPTConfig(heads=4, **sizes))
        forward = counted(lambda: model.logits(codes, labels, prefix))
        masked = MaskGIT(MaskGITConfig(heads=4, **sizes))
        hidden = torch.ones(1, size.length, dtype=torch.bool)
        filled = counted(lambda: masked.logits(codes, hidden, labels, prefix))
    assert transformers.decoder(size).operations == forward
    assert transformers.decoder(size, masked=True).operations == filled
    assert size.parameters == parameters(model)
    assert size.symbols == model.config.symbols == size.vocabulary + SPECIALS


@pytest.mark.parametrize("sizes", DECODER[1:])
def test_decoding_with_a_cache(sizes: dict[str, Any]) -> None:
    """The prefix at once, then code after code; the cache has the size that is said."""
    size = DecoderSize(**sizes)
    model = GPT(GPTConfig(heads=4, **sizes)).eval()
    codes, labels, prefix = inputs(size, "cpu")
    cache = model.new_cache(1, torch.float32, torch.device("cpu"))

    def draw() -> None:
        model.prefill(cache, labels, prefix)
        for position in range(size.length - 1):
            model.decode(codes[:, 0], position, cache)

    assert transformers.decoding(size).operations == counted(draw)
    stored = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert size.cache == stored


@pytest.mark.parametrize("sizes", DECODER[1:])
def test_a_gradient_is_worth_two_more_passes(sizes: dict[str, Any]) -> None:
    """Nearly: attention's gradient computes its products once more."""
    size = DecoderSize(**sizes)
    model = GPT(GPTConfig(heads=4, **sizes))
    found = counted(lambda: model.loss(*inputs(size, "cpu")).backward())
    assert found == pytest.approx(3 * transformers.decoder(size).operations, rel=0.05)


@pytest.mark.parametrize(
    ("config", "side", "layer"),
    [(DINOV2_SIZES["dinov2_base"], 224, 3), (ViTConfig(32, 8, 64, 3, 2, 2.0, 0, None), 32, 1)],
)
def test_vision_transformers(config: ViTConfig, side: int, layer: int) -> None:
    """Up to the block that is read."""
    shape = ViTShape(**{name: getattr(config, name) for name in ViTShape.model_fields})
    with torch.device("meta"), torch.no_grad():
        model = VisionTransformer(config)
        found = counted(lambda: model.features(torch.empty(1, 3, side, side), layer))
    assert transformers.vision(shape, side, layer).operations == found
    assert transformers.vision_parameters(shape) == parameters(model)


def test_named_sizes_are_those_of_the_models() -> None:
    """Of DINOv2 and of MAGE's VQGAN."""
    for name, sizes in VISION.items():
        model = DINOV2_SIZES[f"dinov2_{name}"]
        assert sizes == {"width": model.width, "depth": model.depth, "heads": model.heads}
    assert VQGANConfig(**MAGE.model_dump()) == VQGANConfig()


@pytest.mark.parametrize(
    "shape",
    [
        MAGE,
        VQGANShape(resolution=32, channels=16, multipliers=(1, 2, 2), residual_blocks=2, codes=64,
                   code_width=16, norm_groups=4),
    ],
)  # fmt: skip
def test_vqgan(shape: VQGANShape) -> None:
    """Both ways; weights but for biases and norms."""
    config = VQGANConfig(**shape.model_dump())
    with torch.device("meta"), torch.no_grad():
        model = VQGAN(config)
        images = torch.empty(1, 3, config.resolution, config.resolution)
        there = counted(lambda: model.encode(images))
        back = counted(lambda: model.decode_codes(torch.zeros(1, config.grid**2, dtype=torch.long)))
    distances = 2 * config.grid**2 * config.codes * config.code_width
    assert convolutions.encoder(shape).operations == there + distances
    assert convolutions.decoder(shape).operations == back
    assert convolutions.parameters(shape) == pytest.approx(parameters(model), rel=0.02)


def test_small_networks() -> None:
    """Discriminator, heads and classifier (its last linear layer is left out)."""
    with torch.device("meta"), torch.no_grad():
        judge = PatchDiscriminator(DiscriminatorConfig(16, 2, 4))
        judged = counted(lambda: judge(torch.empty(1, 3, 32, 32)))
        classifier = Classifier(ClassifierConfig(width=64, image_size=32))
        classified = counted(lambda: classifier(torch.empty(1, 3, 32, 32)))
        head = DINOHead(64, 256, 32, 128)
        scored = counted(lambda: head(torch.empty(17, 64)))
    shape = DiscriminatorShape(channels=16, layers=2, norm_groups=4)
    assert convolutions.discriminator(shape, 32).operations == judged
    assert convolutions.classifier(64, 32).operations == classified - 2 * 64 * 10
    assert transformers.mlp(17, (64, 256, 256, 32, 128)).operations == scored
