"""The VQGAN."""

import pytest
import torch

from tessera.models import vqgan
from tessera.models.vqgan import VQGAN, ResidualBlock, VQGANConfig

TINY = VQGANConfig(
    resolution=16,
    channels=8,
    multipliers=(1, 2, 1),
    residual_blocks=2,
    codes=11,
    code_width=6,
    norm_groups=4,
)


def built(config: VQGANConfig = TINY) -> VQGAN:
    torch.manual_seed(0)
    return VQGAN(config)


def test_full_size() -> None:
    """Parameters and tensors are as many as in MAGE's published VQGAN."""
    with torch.device("meta"):
        model = VQGAN(VQGANConfig())
    assert sum(p.numel() for p in model.parameters()) == 54_515_587
    assert len(model.state_dict()) == 168


def test_grid() -> None:
    """Each level but the first halves the side."""
    assert (TINY.downsampling, TINY.grid) == (4, 4)
    assert (VQGANConfig().downsampling, VQGANConfig().grid) == (16, 16)
    model, images = built(), torch.rand(2, 3, 16, 16)
    latents = model.encode(images)
    codes = model.quantize(latents)
    assert latents.shape == (2, 6, 4, 4)
    assert codes.shape == (2, 16)
    assert model.decode_codes(codes).shape == images.shape


def test_block_that_keeps_its_width_adds_its_input() -> None:
    """With the second convolution at 0 the input passes unchanged."""
    block = ResidualBlock(8, 8, TINY)
    torch.nn.init.zeros_(block.conv2.weight)
    x = torch.randn(1, 8, 4, 4)
    assert torch.equal(block(x), x)


def test_block_that_changes_its_width_loses_its_input() -> None:
    """The shortcut reads the block's output h: the result is h + W h, and 0 where h is 0."""
    block = ResidualBlock(8, 16, TINY)
    x, seen = torch.randn(1, 8, 4, 4), []
    block.conv2.register_forward_hook(lambda m, i, o: seen.append(o))
    found = block(x)
    weight = block.nin_shortcut.weight[:, :, 0, 0]  # (out, out)
    expected = seen[0] + torch.einsum("oc,bchw->bohw", weight, seen[0])
    torch.testing.assert_close(found, expected)
    torch.nn.init.zeros_(block.conv2.weight)
    assert not block(x).any()


def test_nearest_codes_in_rows() -> None:
    """Each position gets the code at the least squared distance; rows come first."""
    model = built()
    torch.nn.init.normal_(model.quantize.embedding.weight)
    latents = torch.randn(2, 6, 2, 3)
    codes = model.quantize(latents)
    for b in range(2):
        for row in range(2):
            for column in range(3):
                gaps = latents[b, :, row, column] - model.quantize.embedding.weight
                assert codes[b, row * 3 + column] == gaps.square().sum(1).argmin()


def test_code_vectors_are_placed_in_rows() -> None:
    """Looking codes up is the inverse of naming them."""
    model = built()
    torch.nn.init.normal_(model.quantize.embedding.weight)
    codes = torch.randint(11, (3, 6))
    vectors = model.quantize.vectors(codes, (2, 3))
    assert torch.equal(vectors[1, :, 1, 0], model.quantize.embedding.weight[codes[1, 3]])
    assert torch.equal(model.quantize(vectors), codes)


def test_straight_through_gradient() -> None:
    """The latents get the gradient that the code vectors would get."""
    model, images = built().double(), torch.rand(1, 3, 16, 16, dtype=torch.double)
    output = model(images)
    (found,) = torch.autograd.grad(output.images.square().sum(), output.latents)
    vectors = model.quantize.vectors(output.codes, (4, 4)).detach().requires_grad_()
    (expected,) = torch.autograd.grad(model.decode(vectors).square().sum(), vectors)
    torch.testing.assert_close(found, expected)


def test_codebook_losses_move_one_side_each() -> None:
    """Both losses are the mean squared distance; one moves the codes, the other the latents."""
    model, images = built(), torch.rand(2, 3, 16, 16)
    table = model.quantize.embedding.weight
    output = model(images)
    vectors = table[output.codes].transpose(1, 2).unflatten(2, (4, 4))
    distance = (vectors - output.latents).square().mean()
    torch.testing.assert_close(output.codebook_loss, distance)
    torch.testing.assert_close(output.commitment_loss, distance)
    pulls = torch.autograd.grad(
        output.codebook_loss, [table, output.latents], allow_unused=True, retain_graph=True
    )
    assert pulls[0].abs().sum() > 0
    assert pulls[1] is None
    pulls = torch.autograd.grad(output.commitment_loss, [table, output.latents], allow_unused=True)
    assert pulls[0] is None
    # d/dz of mean (z - e)^2 over n numbers is 2 (z - e) / n.
    expected = 2 * (output.latents - vectors) / vectors.numel()
    torch.testing.assert_close(pulls[1], expected)


def test_decoding_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives the images of one pass over all, up to the rounding of other shapes."""
    model = built().double().eval()
    codes = torch.randint(11, (7, 16))
    expected = model.decode(model.quantize.vectors(codes, (4, 4)))
    seen = []
    model.decoder.register_forward_hook(lambda m, i, o: seen.append(len(o)))
    monkeypatch.setitem(vqgan.AT_ONCE, "cpu", 3 * 16**2)
    torch.testing.assert_close(model.decode_codes(codes), expected)
    assert seen == [3, 3, 1]


def test_a_decoder_in_half_precision() -> None:
    """Reads the codebook's vectors in its own precision; images come in that of the codebook."""
    model = built().eval()
    codes = torch.randint(11, (2, 16))
    expected = model.decode_codes(codes)
    model.decoder.bfloat16()
    found = model.decode_codes(codes)
    assert found.dtype == torch.float32
    assert 0 < (found - expected).abs().max() < 0.05 * expected.abs().max()


def test_codes_that_make_no_square() -> None:
    """A number of codes without a square grid is refused."""
    with pytest.raises(ValueError, match="15 codes"):
        built().decode_codes(torch.zeros(1, 15, dtype=torch.long))


@pytest.mark.parametrize(
    ("options", "said"),
    [({"norm_groups": 3}, "norm_groups 3"), ({"resolution": 30}, "no multiple of 16")],
)
def test_sizes_that_do_not_fit(options: dict[str, int], said: str) -> None:
    """Sizes that contradict each other are refused."""
    with pytest.raises(ValueError, match=said):
        VQGANConfig(**options)
