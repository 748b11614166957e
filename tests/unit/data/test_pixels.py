"""ImageNet's oddities: files that are not what they seem."""

import io
import struct
import warnings

import numpy as np
import pytest
from PIL import Image, ImageCms, features
from tests.unit.data.conftest import encode

from tessera.config.data import Views
from tessera.data.pixels import decode
from tessera.data.views import cut_views
from tessera.errors import UserError


def smooth(width: int = 32, height: int = 24) -> Image.Image:
    """Soft colours, which JPEG hardly changes."""
    rows, columns = np.mgrid[:height, :width]
    channels = [rows * 200 // height + 20, columns * 200 // width + 20, rows * 0 + 90]
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8))


def near(image: Image.Image, other: Image.Image, apart: int = 8) -> bool:
    return bool(np.abs(np.asarray(image, int) - np.asarray(other, int)).max() <= apart)


def without_adobe(data: bytes) -> bytes:
    """A JPEG without its APP14 segment, which says how CMYK is stored."""
    start = data.index(b"\xff\xee")
    length = int.from_bytes(data[start + 2 : start + 4])
    return data[:start] + data[start + 2 + length :]


def test_a_cmyk_jpeg_has_its_colours():
    """Adobe stores the inks inverted, as all of ImageNet's are."""
    image = smooth()
    data = encode(image.convert("CMYK"), "JPEG")
    assert b"Adobe" in data
    assert near(decode(data), image)


def test_a_cmyk_jpeg_without_adobes_mark_is_read_as_pillow_reads_it():
    """Inverted too: what the original's loader made of such files."""
    data = encode(smooth().convert("CMYK"), "JPEG")
    plain = without_adobe(data)
    assert b"Adobe" not in plain
    assert np.array_equal(decode(plain), Image.open(io.BytesIO(plain)).convert("RGB"))
    assert near(decode(plain), smooth())


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_the_bytes_tell_what_a_file_is(kind):
    """ImageNet holds a PNG that is called .JPEG; nothing looks at names."""
    if kind == "WEBP" and not features.check("webp"):
        pytest.skip("this Pillow reads no WebP")
    image = smooth().quantize(16).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert np.array_equal(decode(buffer.getvalue()), image)


def test_a_grey_jpeg_has_three_equal_channels():
    """Some thousands of ImageNet's are grey."""
    grey = smooth().convert("L")
    pixels = np.asarray(decode(encode(grey, "JPEG")))
    assert pixels.shape == (24, 32, 3)
    assert (pixels == pixels[..., :1]).all()
    assert near(Image.fromarray(pixels[..., 0]), grey)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_rotation_in_the_exif_data_is_ignored(orientation):
    """As the original does, which converts to RGB and no more."""
    image = smooth()
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", exif=exif, quality=95)
    decoded = decode(buffer.getvalue())
    assert Image.open(io.BytesIO(buffer.getvalue())).getexif()[0x0112] == orientation
    assert decoded.size == (32, 24)
    assert near(decoded, image)


def test_a_colour_profile_is_ignored():
    """Colours are those stored."""
    buffer = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    smooth().save(buffer, format="PNG", icc_profile=profile)
    assert np.array_equal(decode(buffer.getvalue()), smooth())


@pytest.mark.parametrize("size", [(16, 500), (500, 16), (1, 90)])
def test_a_thin_image_is_enlarged(size):
    """ImageNet's thinnest are 16 pixels wide or so: every kind of view can be cut of them."""
    data = encode(smooth(*size), "PNG")
    for split in ("train", "validation"):
        cut = cut_views(decode(data), 0, Views(data="x", resize=32, crop=32, count=3), split)
        assert cut.shape[2:] == (32, 32)
        resized = Views(data="x", resized_crop=True, resize=32, crop=32, filter="bilinear")
        assert cut_views(decode(data), 0, resized, split).shape == (1, 3, 32, 32)


def test_warnings_of_other_threads_are_left_alone(monkeypatch):
    """Images are decoded in many threads, and filters of warnings are shared by all of them."""
    before = list(warnings.filters)
    decode(encode(smooth()))
    assert warnings.filters == before


def test_an_eps_never_starts_ghostscript(monkeypatch):
    """It is a program; an image folder may hold one that is called .jpg."""

    def ghostscript(*_, **__):
        raise OSError("Ghostscript was started")

    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", ghostscript)
    data = encode(smooth(), "EPS")
    with pytest.raises(OSError, match="Ghostscript was started"):  # as Pillow does by itself
        Image.open(io.BytesIO(data)).convert("RGB")
    with pytest.raises(UserError, match=r"it is no readable image \(cannot identify"):
        decode(data)


def test_a_jpeg_of_several_pictures_is_its_first():
    """Cameras write them; to Pillow they are a format of their own."""
    buffer = io.BytesIO()
    smooth().save(buffer, "MPO", save_all=True, append_images=[smooth(8, 8)], quality=95)
    assert near(decode(buffer.getvalue()), smooth())


def tag_of_another_type() -> bytes:
    """A TIFF whose tag of where the pixels lie says text instead of numbers."""
    data = bytearray(encode(smooth(), "TIFF"))
    assert data[:4] == b"II*\0"
    tags = int.from_bytes(data[4:8], "little") + 2
    start = next(at for at in range(tags, len(data), 12) if data[at : at + 2] == b"\x11\x01")
    data[start + 2] = 2  # StripOffsets: of type text
    return bytes(data)


def test_a_damaged_tiff_is_no_readable_image():
    """Pillow fails with a TypeError."""
    with pytest.raises(UserError, match=r"it is no readable image \("):
        decode(tag_of_another_type())


@pytest.mark.parametrize("kind", ["TIFF", "GIF"])
def test_damaged_anywhere_it_is_an_image_or_none(kind):
    """No damage of a byte makes anything but an image, or the one sentence."""
    data = encode(smooth().quantize(16), kind)
    refused = []
    for place in [*range(120), *range(len(data) - 60, len(data))]:
        damaged = bytearray(data)
        damaged[place] ^= 0xFF
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                decode(bytes(damaged))
            except UserError as error:
                refused.append(str(error))
    assert refused
    assert not any("\n" in sentence for sentence in refused)


@pytest.mark.parametrize(
    "error",
    [EOFError(), struct.error("4 bytes"), TypeError("no\nnumber"), IndexError(), KeyError("a"),
     MemoryError(), RecursionError()],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_whatever_a_decoder_raises_is_one_sentence(monkeypatch, error):
    """With a reason, at least the name of the error."""

    def broken(*_):
        raise error

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", broken)
    reason = {"TypeError": "no number", "error": "4 bytes", "KeyError": "'a'"}
    name = type(error).__name__
    with pytest.raises(UserError, match=rf"^it is no readable image \({reason.get(name, name)}\)$"):
        decode(encode(smooth()))
