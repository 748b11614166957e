"""Features and tokens of pixels, against the encoder called plainly."""

import copy

import pytest
import torch

from tessera.models.encoders import preprocess
from tessera.models.vit import VisionTransformer, ViTConfig
from tessera.stages.featurizing import (
    Featurizer,
    codebook_tokenizer,
    image_by_image,
    products_in_bfloat16,
    unit,
)
from tessera.stages.streaming import Replayed

CONFIG = ViTConfig(image_size=28, patch_size=7, width=32, depth=3, heads=2, layer_scale=1.0)
GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
DEVICES = ["cpu", pytest.param("cuda", marks=GPU)]


@pytest.fixture
def encoder() -> VisionTransformer:
    """A small one; its bfloat16 weights are made of these."""
    torch.manual_seed(0)
    return VisionTransformer(CONFIG).eval().requires_grad_(False)


@pytest.fixture
def pixels():
    """uint8 [9, 3, 35, 35]."""
    return torch.randint(0, 256, (9, 3, 35, 35), dtype=torch.uint8)


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    """Threads of torch."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@torch.inference_mode()
def plain(encoder, pixels, layer=1, final_norm=True, input_size=None, bfloat16=False):
    """One call of the encoder for all images, with all threads."""
    inputs = preprocess(pixels.float() / 255, encoder.mean, encoder.std, input_size)
    with torch.autocast(pixels.device.type, torch.bfloat16, enabled=bfloat16):
        return encoder.features(inputs, layer, final_norm).float()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "options",
    [{}, {"layer": 2, "final_norm": False}, {"input_size": 28}, {"bfloat16": True}],
    ids=str,
)
def test_features_are_those_of_the_plain_call(encoder, pixels, threads, device, options):
    """To the last bit: images by the thread, means on the device, weights cast once."""
    encoder, pixels = encoder.to(device), pixels.to(device)
    expected = plain(encoder, pixels, **options)
    kept = copy.deepcopy(encoder)
    if options.get("bfloat16"):
        products_in_bfloat16(kept)
        assert kept.blocks[0].mlp.fc1.weight.dtype == torch.bfloat16
    featurizer = Featurizer(kept, device, **options)
    assert featurizer(pixels).equal(expected)
    assert featurizer(pixels.float() / 255).equal(expected)
    assert expected.shape == (9, featurizer.grid(35)[0] ** 2, 32)


def test_the_encoder_stays_as_it_is(encoder, pixels):
    """One encoder is read in bfloat16 and then in float32, by two featurizers."""
    rounded, exact = plain(encoder, pixels, bfloat16=True), plain(encoder, pixels)
    assert Featurizer(encoder, "cpu", bfloat16=True)(pixels).equal(rounded)
    assert Featurizer(encoder, "cpu")(pixels).equal(exact)


@pytest.mark.parametrize("device", DEVICES)
def test_tokens_are_the_nearest_centroids(encoder, pixels, threads, device):
    """Of the plain features, by distances in float64; replayed, the same again."""
    encoder, pixels = encoder.to(device), pixels.to(device)
    centroids = torch.randn(50, 32, device=device)
    tokenize = codebook_tokenizer(Featurizer(encoder, device), centroids)
    tokens, features = tokenize(pixels)
    assert features.equal(plain(encoder, pixels))
    distances = torch.cdist(features.double(), centroids.double())
    assert tokens.equal(distances.argmin(-1))
    replayed = Replayed(lambda images: tokenize(images)[0], tuple(pixels.shape))
    assert replayed(pixels).equal(tokens)
    assert replayed(pixels.flip(0)).equal(tokens.flip(0))


@pytest.mark.parametrize("count", [1, 3, 4, 7, 8])
def test_images_by_the_thread_stay_in_order(threads, count):
    """However many there are, and each once."""
    images = torch.arange(float(count))[:, None]
    assert image_by_image(lambda some: some * 2, images).equal(images * 2)


def test_unit_images():
    """Pixels are divided, images in [0, 1] left alone."""
    assert unit(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist() == pytest.approx(
        [0, 0.2, 1]
    )
    images = torch.tensor([0.5, -0.1])  # noise leaves [0, 1]
    assert unit(images) is images
