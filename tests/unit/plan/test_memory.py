"""Memory by arithmetic against what autograd keeps, and the room that the recipes have."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tessera.config.load import load
from tessera.config.networks import VQGANShape
from tessera.models.gpt import GPT, GPTConfig
from tessera.models.vqgan import VQGAN, VQGANConfig
from tessera.plan import convolutions, trainings, transformers
from tessera.plan.cost import RUNTIME
from tessera.plan.estimate import Planner
from tessera.plan.others import codebook
from tessera.plan.tasks import task_of
from tessera.plan.transformers import DecoderSize
from tessera.quantize.sizes import gpu_memory, host_memory

REPO = Path(__file__).parents[3]
IMAGES = 8


def kept(work: Callable[[], Tensor], model: nn.Module) -> float:
    """Bytes that autograd keeps for the gradient of a piece of work, weights left out."""
    weights = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    found: dict[int, tuple[int, object]] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            found[storage._cdata] = (storage.nbytes(), storage)  # alive, so that none comes twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        work()
    return float(sum(size for size, _ in found.values()))


@pytest.mark.parametrize("half", [False, True])
def test_activations_of_a_decoder(half: bool) -> None:
    """Within a fifth, in float32 and in bfloat16, whose copies of the weights are few here."""
    size = DecoderSize(
        vocabulary=32, length=255, width=128, layers=4, ffn=512, max_positions=256, norm="post"
    )
    sizes = {name: getattr(size, name) for name in size.__dataclass_fields__}
    model = GPT(GPTConfig(heads=4, **sizes))
    codes = torch.randint(32, (IMAGES, 255))
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        found = kept(lambda: model.loss(codes), model)
    network = transformers.decoder(size)
    estimated = network.saved_half if half else network.saved
    assert IMAGES * estimated == pytest.approx(found, rel=0.2)


def test_activations_of_a_vqgan() -> None:
    """Within a fifth."""
    shape = VQGANShape(resolution=32, channels=16, multipliers=(1, 2), residual_blocks=1, codes=16,
                       code_width=8, norm_groups=4)  # fmt: skip
    model = VQGAN(VQGANConfig(**shape.model_dump()))
    images = torch.rand(IMAGES, 3, 32, 32)
    found = kept(lambda: model(images).images, model)
    network = convolutions.encoder(shape) + convolutions.decoder(shape)
    assert IMAGES * network.saved == pytest.approx(found, rel=0.2)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("gpus", [0, 1])
def test_kmeans_is_what_the_stage_asks_for(gpus: int, dtype: str) -> None:
    """The stage refuses to start with less; on a GPU the points are to stay there."""
    config = load([REPO / "configs/imagenet-base.yaml"])
    (name,) = config.features
    asked = config.execution["codebook"].model_copy(update={"gpus": gpus})
    stored = config.features[name].model_copy(update={"dtype": dtype})
    config = config.model_copy(
        update={
            "execution": config.execution | {"codebook": asked},
            "features": {name: stored},
        }
    )
    itemsize = int(dtype.removeprefix("float")) // 8
    threads = config.execute("codebook").threads
    found = codebook(config, task_of(config, "codebook", {"codebook": "k8192"}))
    host = host_memory(2_097_152, 768, 8192, itemsize, threads, gpu=bool(gpus))
    assert found.memory == host + RUNTIME["torch"]
    assert found.gpu == gpus * (gpu_memory(768, 8192) + itemsize * 768 * 2_097_152)


@pytest.mark.parametrize(("asked", "read"), [(65_536, 65_536), (9_000_000, 2_097_152)])
def test_kmeans_over_a_sample(asked: int, read: int) -> None:
    """As many points as the codebook asks for, where the features have them."""
    config = load([REPO / "configs/imagenet-base.yaml"])
    sampled = config.codebooks["k8192"].model_copy(update={"points": asked})
    config = config.model_copy(update={"codebooks": {"k8192": sampled}})
    found = codebook(config, task_of(config, "codebook", {"codebook": "k8192"}))
    products = 2 * read * 8192 * 768 * (sampled.iterations + 1)
    assert found.float32 == products
    threads = config.execute("codebook").threads
    host = host_memory(read, 768, 8192, itemsize=2, threads=threads, gpu=True)
    assert found.memory == pytest.approx(host + RUNTIME["torch"], rel=1e-6)


@pytest.mark.parametrize(
    ("section", "name", "paints"),
    [
        ("stage1", "unconditional", False),
        ("stage1", "vq_unconditional", True),
        ("stage2", "masked", True),
    ],
)
def test_who_paints_pictures_holds_the_autoencoder(section: str, name: str, paints: bool) -> None:
    """Four bytes a weight on the device, where pictures are made and codes are drawn."""
    config = load([REPO / "config.yaml"])
    without = config.model_copy(update={"pictures_every": 0})
    stage = {"stage1": trainings.stage1, "stage2": trainings.stage2}[section]
    found, none = (stage(it, task_of(it, section, {section: name})) for it in (config, without))
    with torch.device("meta"):
        model = VQGAN(VQGANConfig(**config.autoencoders["vqgan"].model.model_dump()))
    weights = 4 * sum(parameter.numel() for parameter in model.parameters())
    assert found.gpu - none.gpu == pytest.approx(paints * weights, rel=0.05)


@pytest.mark.parametrize("name", ["base-uncond", "base-cond", "large-uncond", "large-cond"])
def test_micro_batches_of_the_recipes_fit_80_gb(name: str) -> None:
    """With a tenth to spare."""
    config = load([REPO / f"configs/imagenet-digit-{name}.yaml"])
    planner = Planner(config, "h100", corrected=False)
    for section in ("stage1", "stage2"):
        for variant in getattr(config, section):
            found = planner.estimate(task_of(config, section, {section: variant}))
            assert 30e9 < found.gpu_memory < 72e9
    for task, _ in planner.tasks:
        assert planner.estimate(task).gpu_memory < 72e9
