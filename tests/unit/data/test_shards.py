"""Tar shards: packing, reading, and every kind of damage."""

import io
import os
import tarfile

import numpy as np
import pytest
from PIL import Image

from tessera.config.data import DigitsData
from tessera.data.shards import decode, pack, read_shard
from tessera.data.sources import Item, open_source
from tessera.errors import UserError


def encode(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue()


@pytest.fixture
def items(png) -> list[Item]:
    """Ten images of two classes."""
    return [Item(f"image {i}", i % 2, lambda i=i: png(seed=i)) for i in range(10)]


def paths(folder, count):
    return [folder / f"train-{i:05d}-of-{count:05d}.tar" for i in range(count)]


def damaged(name: str, label: int = 0) -> Item:
    return Item(name, label, lambda: b"\x89PNG no image")


def test_images_come_back_in_order_with_their_classes(tmp_path, items):
    """Bytes as they were; numbers run on from shard to shard."""
    files = paths(tmp_path, 3)
    packed = pack(items, files, 2, None, 0.0)
    read = [entry for file in files for entry in read_shard(file)]
    assert [number for number, _, _ in read] == list(range(10))
    assert [label for _, _, label in read] == [item.label for item in items]
    assert [data for _, data, _ in read] == [item.read() for item in items]
    assert (packed.count, packed.per_class, packed.skipped) == (10, [5, 5], [])
    assert [shard["first"] for shard in packed.shards] == [0, 3, 6]
    assert sum(shard["count"] for shard in packed.shards) == 10


def test_equal_images_make_equal_bytes(tmp_path, items):
    """No time, owner or mode of the moment is in a shard."""
    digests = []
    for name in "ab":
        (tmp_path / name).mkdir()
        packed = pack(items, paths(tmp_path / name, 2), 2, 8, 0.0)
        digests.append([shard["sha256"] for shard in packed.shards])
    assert digests[0] == digests[1]


def test_the_number_of_an_image_does_not_depend_on_the_shards(tmp_path, items):
    """Two shards or five: the same image has the same number."""
    read = []
    for count in (2, 5):
        folder = tmp_path / str(count)
        folder.mkdir()
        files = paths(folder, count)
        pack(items, files, 2, None, 0.0)
        read.append({number: data for file in files for number, data, _ in read_shard(file)})
    assert read[0] == read[1]


def test_digits_fill_their_shards(tmp_path):
    """The default data set as it is packed."""
    source = open_source(DigitsData(kind="digits"))
    files = paths(tmp_path, 4)
    packed = pack(source.splits["train"], files, 10, 32, 0.001)
    assert (packed.count, len(packed.shards)) == (1437, 4)
    assert {shard["count"] for shard in packed.shards} == {359, 360}
    assert sum(packed.per_class) == 1437


def test_images_are_resized_by_their_shorter_side(tmp_path, picture):
    """Stored as PNG then; those that fit keep their own bytes."""
    wide, fitting = encode(picture(40, 20), "PNG"), encode(picture(16, 10), "JPEG")
    items = [Item("wide", 0, lambda: wide), Item("fitting", 0, lambda: fitting)]
    pack(items, paths(tmp_path, 1), 1, 10, 0.0)
    (_, first, _), (_, second, _) = read_shard(paths(tmp_path, 1)[0])
    assert Image.open(io.BytesIO(first)).size == (20, 10)
    assert second == fitting
    with tarfile.open(paths(tmp_path, 1)[0]) as archive:
        assert archive.getnames() == [
            "00000000.png", "00000000.cls", "00000001.jpg", "00000001.cls",
        ]  # fmt: skip


def test_unreadable_images_are_left_out_and_listed(tmp_path, items):
    """Numbers stay without gaps, counts are those of the good ones."""
    items[3] = damaged("broken.png")
    packed = pack(items, paths(tmp_path, 2), 2, None, 0.2)
    assert packed.count == 9
    assert packed.per_class == [5, 4]
    assert [entry["name"] for entry in packed.skipped] == ["broken.png"]
    assert "no readable image" in packed.skipped[0]["reason"]
    numbers = [number for file in paths(tmp_path, 2) for number, _, _ in read_shard(file)]
    assert numbers == list(range(9))


def test_a_truncated_image_is_unreadable(tmp_path, items, png):
    """Its header is whole, its pixels are not."""
    items[0] = Item("cut.png", 0, lambda: png(64, 64)[:2000])
    assert [entry["name"] for entry in pack(items, paths(tmp_path, 1), 2, None, 0.5).skipped] == [
        "cut.png"
    ]


def test_too_many_unreadable_images_are_an_error(tmp_path, items):
    """The sentence names the first, its reason and the setting."""
    items[3] = damaged("broken.png")
    with pytest.raises(UserError, match=r"1 of 10 .* the first of them broken\.png: .*`max_corr"):
        pack(items, paths(tmp_path, 2), 2, None, 0.05)


def test_a_split_of_unreadable_images_is_an_error(tmp_path):
    """Whatever share is allowed, something must be left."""
    items = [damaged("a"), damaged("b")]
    with pytest.raises(UserError, match="cannot be read"):
        pack(items, paths(tmp_path, 1), 1, None, 1.0)


def test_an_image_that_cannot_be_opened_is_listed(tmp_path, items):
    """A file without permission, or gone since the list was made."""
    missing = tmp_path / "gone.png"
    items[2] = Item(str(missing), 0, missing.read_bytes)
    packed = pack(items, paths(tmp_path, 1), 2, None, 0.5)
    assert [entry["name"] for entry in packed.skipped] == [str(missing)]


def test_fewer_images_than_shards_are_an_error(tmp_path, items):
    """A shard would be empty."""
    with pytest.raises(UserError, match="2 images do not fill 3 shards: lower `shards`"):
        pack(items[:2], paths(tmp_path, 3), 2, None, 0.0)


@pytest.mark.parametrize("offset", [0, 1, 511])
def test_a_truncated_shard_is_an_error(tmp_path, items, offset):
    """Cut anywhere before the end of the last class: the sentence says what to delete."""
    (file,) = paths(tmp_path, 1)
    pack(items, [file], 2, None, 0.0)
    data = file.read_bytes()
    with tarfile.open(file) as archive:
        last = archive.getmembers()[-1]
    end = last.offset_data + last.size
    for kept in range(offset, end, 512):
        file.write_bytes(data[:kept])
        with pytest.raises(UserError, match=r"\.tar .*: delete it and run the stage `shards`"):
            list(read_shard(file, 10))


def test_an_absent_shard_is_an_error(tmp_path):
    """It names the file."""
    with pytest.raises(UserError, match=r"absent\.tar does not exist: run the stage `shards`"):
        list(read_shard(tmp_path / "absent.tar"))


def archive(path, *members) -> None:
    """A tar of (TarInfo, bytes)."""
    with tarfile.open(path, "w") as made:
        for member, content in members:
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    "member",
    [
        link("00000000.png", "/etc/hostname", tarfile.SYMTYPE),
        link("00000000.png", "../../secret", tarfile.LNKTYPE),
        link("00000000.png", "", tarfile.DIRTYPE),
        link("00000000.png", "", tarfile.FIFOTYPE),
        tarfile.TarInfo("../../00000000.png"),
        tarfile.TarInfo("/00000000.png"),
        tarfile.TarInfo("below/00000000.png"),
        tarfile.TarInfo("cat.png"),
    ],
    ids=["symlink", "hard link", "folder", "fifo", "parent", "absolute", "subfolder", "no number"],
)
def test_a_hostile_member_is_an_error_and_writes_nothing(tmp_path, png, monkeypatch, member):
    """Shards hold plain files with plain names; nothing is ever extracted."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    content = png() if member.isreg() else b""
    archive("s.tar", (member, content), (tarfile.TarInfo("00000000.cls"), b"1"))
    with pytest.raises(UserError, match=r"s\.tar holds a member that is no image"):
        list(read_shard(folder / "s.tar"))
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()] == [
        os.path.join("a", "b", "s.tar")
    ]


@pytest.mark.parametrize("content", [b"cat", b""])
def test_a_class_that_is_no_number_is_an_error(tmp_path, png, content):
    """The shards of another program."""
    image, label = tarfile.TarInfo("00000000.png"), tarfile.TarInfo("00000000.cls")
    archive(tmp_path / "s.tar", (image, png()), (label, content))
    with pytest.raises(UserError, match=r"s\.tar is damaged or truncated"):
        list(read_shard(tmp_path / "s.tar"))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "CMYK", "1", "RGBA", "LA", "I;16"])
def test_every_mode_becomes_rgb(mode):
    """Grey, palettes, CMYK and alpha occur in ImageNet-like folders."""
    grey = Image.fromarray(np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8))
    image = grey.convert("I").convert("I;16") if mode == "I;16" else grey.convert(mode)
    decoded = decode(encode(image, "JPEG" if mode == "CMYK" else "PNG"))
    assert (decoded.mode, decoded.size) == ("RGB", (8, 8))
    if mode in ("L", "P", "RGB", "LA", "RGBA"):
        assert np.array_equal(np.asarray(decoded)[..., 1], np.asarray(grey))


def test_sixteen_bits_keep_their_range():
    """A 16-bit grey image is scaled to 8 bits, not clipped to white."""
    grey = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    decoded = np.asarray(decode(encode(Image.fromarray(grey), "PNG")))[..., 0]
    assert np.abs(decoded.astype(int) - grey // 257).max() <= 1


@pytest.mark.parametrize("limit", [100, 200])
def test_an_image_of_absurd_size_is_unreadable(monkeypatch, png, limit):
    """A decompression bomb is refused before it fills the memory: from Pillow's limit on."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(UserError, match="no readable image"):
        decode(png(20, 16))
