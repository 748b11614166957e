"""Latents, codes and pixels of the VQGAN."""

from collections.abc import Iterator

import numpy as np
import torch
import yaml
from torch import Tensor

from tests.parity import models
from tests.parity.models import VQGAN_FILE
from tests.parity.reference_set import ReferenceSet
from tests.parity.registry import (
    EXACT,
    FEATURES,
    PIXELS,
    Measured,
    Quantity,
    gap,
    relative,
    same,
    same_text,
    source,
    thinned,
)

IMAGES = "images.npz:imgs_u8"
CROP_AT = 96  # where the stored crops of decoded images of 256 pixels begin
DISTANCE = 1e-4
LOSS_RELATIVE = 1e-5


@source
def vqgan_quantities(reference: ReferenceSet) -> Iterator[Quantity]:
    """Latents, codes and pixels of the VQGAN."""

    def stored(key: str) -> np.ndarray:
        return reference.numpy("vqgan.npz", key)

    @torch.no_grad()
    def latents() -> Tensor:
        return reference.once(
            "latents", lambda: models.vqgan(reference).encode(models.images(reference)).detach()
        )

    def decoded(key: str) -> Tensor:
        def make() -> Tensor:
            with torch.no_grad():
                return models.vqgan(reference).decode_codes(reference.tensor("vqgan.npz", key))

        return reference.once(f"decoded {key}", make)

    def crop(side: int, image: int) -> slice:
        first = CROP_AT if image >= CROP_AT + side else (image - side) // 2
        return slice(first, first + side)

    def cropped() -> Measured:
        x, part = decoded("codes"), stored("dec_crop")
        rows, columns = (crop(part.shape[i], x.shape[i]) for i in (2, 3))
        return gap(x[:, :, rows, columns], part)

    def as_bytes() -> Measured:
        part = stored("dec_u8_crop")
        pixels = (255 * decoded("codes")).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
        rows, columns = (crop(part.shape[i], pixels.shape[i]) for i in (1, 2))
        found = pixels[:, rows, columns].numpy()
        different = int((found != part).sum())
        return gap(found, part, f", {different} of {part.size} bytes differ")

    def codebook_loss() -> Measured:
        with torch.no_grad():
            output = models.vqgan(reference)(models.images(reference))
        loss = output.codebook_loss + 0.25 * output.commitment_loss
        return relative(loss, stored("emb_loss"))

    image = (VQGAN_FILE, IMAGES)

    def one(title: str, key: str, bound: float, measure, needs: tuple[str, ...]) -> Quantity:
        return Quantity(f"VQGAN {title} ({key})", (f"vqgan.npz:{key}", *needs), bound, measure)

    code = (VQGAN_FILE, "vqgan.npz:codes")
    yield one("latents", "enc_h", FEATURES, lambda: thinned(latents(), stored("enc_h")), image)
    yield one(
        "codes", "codes", EXACT,
        lambda: same(models.vqgan(reference).quantize(latents()), stored("codes")), image,
    )  # fmt: skip
    yield one("codebook loss", "emb_loss", LOSS_RELATIVE, codebook_loss, image)
    yield one(
        "pixels", "dec_strided", PIXELS,
        lambda: thinned(decoded("codes"), stored("dec_strided")), code,
    )  # fmt: skip
    yield one("pixels", "dec_crop", PIXELS, cropped, code)
    yield one("bytes", "dec_u8_crop", 1, as_bytes, code)
    yield one(
        "pixels' mean", "dec_mean", PIXELS,
        lambda: gap(decoded("codes").double().mean((2, 3)), stored("dec_mean")), code,
    )  # fmt: skip
    yield one(
        "pixels' spread", "dec_std", PIXELS, lambda: spread(decoded("codes"), stored("dec_std")),
        code,
    )  # fmt: skip
    yield one(
        "pixels of drawn codes", "rnd_dec_strided", PIXELS,
        lambda: thinned(decoded("rnd_codes"), stored("rnd_dec_strided")),
        (VQGAN_FILE, "vqgan.npz:rnd_codes"),
    )  # fmt: skip

    def pixels_of_samples() -> Measured:
        found, part = (
            reference.tensor("stage2_ar.npz", "greedy_tokens"),
            reference.numpy("stage2_ar_pixels.npz", "dec_strided_img0"),
        )
        with torch.no_grad():
            return thinned(models.vqgan(reference).decode_codes(found[: len(part)]), part)

    yield Quantity(
        "pixels of greedy stage-2 codes (dec_strided_img0)",
        (VQGAN_FILE, "stage2_ar_pixels.npz:dec_strided_img0", "stage2_ar.npz:greedy_tokens"),
        PIXELS,
        pixels_of_samples,
    )

    def distances() -> Tensor:
        x = latents().permute(0, 2, 3, 1).flatten(0, 2).double()
        table = models.vqgan(reference).quantize.embedding.weight.detach().double()
        return (x[:, None] - table).square().sum(-1)

    def margin() -> Measured:
        two = distances().topk(2, largest=False).values
        return gap((two[:, 1] - two[:, 0]).min(), reference.fact("vqgan/min_margin_sq_dist"))

    def extent() -> Measured:
        x = decoded("codes")
        return gap(torch.stack([x.min(), x.max()]), reference.fact("vqgan/pixel_range"))

    def sizes() -> Measured:
        model = models.vqgan(reference).config
        params = yaml.safe_load((reference.folder / "vqgan.yaml").read_text())["model"]["params"]
        said = params["ddconfig"]
        return same_text(
            [model.resolution, model.channels, list(model.multipliers), model.residual_blocks,
             model.codes, model.code_width, model.code_width],
            [said["resolution"], said["ch"], list(said["ch_mult"]), said["num_res_blocks"],
             params["n_embed"], params["embed_dim"], said["z_channels"]],
        )  # fmt: skip

    def fact(title: str, key: str, bound: float, measure, needs: tuple[str, ...]) -> Quantity:
        return Quantity(f"VQGAN {title}", (f"manifest.json:vqgan/{key}", *needs), bound, measure)

    yield Quantity("VQGAN sizes (vqgan.yaml)", (VQGAN_FILE, "vqgan.yaml"), EXACT, sizes)
    yield fact(
        "parameters", "params", EXACT,
        lambda: same(
            sum(p.numel() for p in models.vqgan(reference).parameters()),
            reference.fact("vqgan/params"),
        ),
        (VQGAN_FILE,),
    )  # fmt: skip
    yield fact(
        "codes in use", "codes_used", EXACT,
        lambda: same(len(distances().argmin(1).unique()), reference.fact("vqgan/codes_used")),
        image,
    )  # fmt: skip
    yield fact("codes' smallest margin", "min_margin_sq_dist", DISTANCE, margin, image)
    yield fact(
        "codes' median distance", "typical_sq_dist", DISTANCE,
        lambda: relative(
            distances().min(1).values.median(), reference.fact("vqgan/typical_sq_dist")
        ),
        image,
    )  # fmt: skip
    yield fact("pixels' extremes", "pixel_range", PIXELS, extent, code)


def spread(pixels: Tensor, expected: np.ndarray) -> Measured:
    """The standard deviation over an image, by either of its two definitions."""
    x = pixels.double().flatten(2)
    return min(
        (gap(x.std(-1, correction=correction), expected) for correction in (0, 1)),
        key=lambda measured: measured.error,
    )
