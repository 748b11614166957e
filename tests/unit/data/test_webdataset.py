"""WebDataset tars: samples, labels, and every kind of damage."""

import io
import json
import tarfile

import pytest
from tests.unit.data.formats import write_tar

from tessera.config.data import WebDatasetData
from tessera.data import webdataset
from tessera.data.records import MAX_FILE_BYTES
from tessera.data.webdataset import samples
from tessera.errors import UserError


def settings(**values) -> WebDatasetData:
    return WebDatasetData(kind="webdataset", train="x", **values)


def read(path, images=True, exclude=(), **values) -> list:
    return list(samples(path, settings(**values), frozenset(exclude), images))


@pytest.fixture
def tar(tmp_path):
    """A function that writes a tar of (name, bytes)."""
    return lambda *members: write_tar(tmp_path / "s.tar", list(members))


def test_a_sample_is_an_image_and_its_class(tar, png):
    """Members alike up to the first dot; other members and folders do not matter."""
    path = tar(
        ("README", b"words"), ("__meta__.json", b"{}"),
        ("a/1.jpg", png()), ("a/1.cls", b" 7\n"), ("a/1.txt", b"cat"),
        ("./b/2.v2.PNG", png(seed=1)), ("./b/2.json", b'{"label": 3}'),
    )  # fmt: skip
    first, second = [*read(path)][:1] + [*read(path, images=False)][:1]
    assert (first.names, first.label, first.data) == (("a/1", "s.tar:a/1"), 7, png())
    assert (second.label, second.data) == (7, b"")


def test_a_member_of_two_dots_is_no_image_of_its_own_kind(tar, png):
    """`seg.png` beside `jpg` is a mask, not the image."""
    path = tar(("1.jpg", png()), ("1.seg.png", b"mask"), ("1.cls", b"0"))
    (sample,) = read(path)
    assert sample.data == png()


@pytest.mark.parametrize(
    ("text", "key", "label"),
    [
        ({"label": 3, "cls": 4}, None, 3),
        ({"cls": 4}, None, 4),
        ({"cls": "12"}, None, 12),
        ({"label": "n01440764"}, None, "n01440764"),
        ({"label": 3, "class_id": 5}, "class_id", 5),
    ],
)
def test_labels_of_json(tar, png, text, key, label):
    """`label`, then `cls`, or the field that the config names."""
    path = tar(("1.jpg", png()), ("1.json", json.dumps(text).encode()))
    assert read(path, label_key=key)[0].label == label


def test_a_named_field_goes_before_the_cls_file(tar, png):
    """The config says which."""
    path = tar(("1.jpg", png()), ("1.cls", b"1"), ("1.json", b'{"class_id": 5}'))
    assert read(path)[0].label == 1
    assert read(path, label_key="class_id")[0].label == 5


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("1.jpg", None)], r"s\.tar, sample 1 has no label: looked for 'label' and 'cls'"),
        ([("1.jpg", None), ("1.json", b"{}")], "sample 1 has no label.*found jpg, json"),
        ([("1.jpg", None), ("1.json", b"[1]")], "sample 1 has no label"),
        ([("1.jpg", None), ("1.json", b"{")], "sample 1 has a label that cannot be read"),
        ([("1.jpg", None), ("1.cls", b"\xff")], "sample 1 has a label that cannot be read"),
        ([("1.jpg", None), ("1.cls", b"")], "sample 1 has no label that is a number"),
        ([("1.jpg", None), ("1.cls", b"-1")], "sample 1 has the label -1, which stands for none"),
        ([("1.jpg", None), ("1.json", b'{"label": true}')], "no label that is a number.*True"),
        ([("1.jpg", None), ("1.json", b'{"label": 1.5}')], "no label that is a number"),
        ([("1.jpg", None), ("1.json", b'{"label": [1]}')], "no label that is a number"),
        ([("1.cls", b"1")], "sample 1 has no images, and one is needed"),
        ([("1.jpg", None), ("1.png", None), ("1.cls", b"1")], "sample 1 has 2 images"),
        ([("1.jpg", None), ("2.cls", b"1"), ("1.cls", b"1")], "sample 1 has no label"),
    ],
)
@pytest.mark.parametrize("images", [True, False])
def test_a_sample_that_is_not_whole_is_named(tar, png, members, message, images):
    """With its file and key, when it is listed and when it is read."""
    path = tar(*((name, png() if data is None else data) for name, data in members))
    with pytest.raises(UserError, match=message):
        read(path, images)


def test_an_excluded_sample_needs_no_label(tar, png):
    """That may be why it is excluded."""
    path = tar(("1.jpg", png()), ("2.jpg", png()), ("2.cls", b"5"))
    assert [sample.label for sample in read(path, exclude=["1"])] == [None, 5]
    assert [sample.label for sample in read(path, exclude=["s.tar:1"])] == [None, 5]


@pytest.mark.parametrize("images", [True, False])
def test_a_truncated_tar_is_an_error_wherever_it_is_cut(tar, png, images):
    """Up to the zeros at its end, at the end of a member too, where tar sees nothing wrong."""
    members = [(f"{i}.{suffix}", data) for i in range(3) for suffix, data in
               (("png", png(seed=i)), ("cls", b"1"))]  # fmt: skip
    path = tar(*members)
    data = path.read_bytes()
    with tarfile.open(path) as archive:
        last = archive.getmembers()[-1]
    end = last.offset_data + 512
    cuts = [*range(0, end + 1, 512), 1, 700, end - 1, end + 100]
    for kept in cuts:
        path.write_bytes(data[:kept])
        with pytest.raises(UserError, match=r"s\.tar is damaged, truncated or no plain tar file"):
            read(path, images)
    path.write_bytes(data[: end + 512])
    assert len(read(path, images)) == 3


@pytest.mark.parametrize("images", [True, False])
def test_a_damaged_header_is_no_end(tar, png, images):
    """Tarfile would stop there without a word."""
    path = tar(("1.png", png()), ("1.cls", b"1"), ("2.png", png()), ("2.cls", b"1"))
    with tarfile.open(path) as archive:
        start = archive.getmembers()[2].offset
    data = bytearray(path.read_bytes())
    data[start : start + 100] = b"\xff" * 100
    path.write_bytes(data)
    with pytest.raises(UserError, match="damaged, truncated"):
        read(path, images)


def test_what_is_no_tar_is_said(tmp_path):
    """A compressed one is none either: it cannot be passed over in steps."""
    (tmp_path / "a.tar").write_bytes(b"words" * 1000)
    with pytest.raises(UserError, match=r"a\.tar is damaged, truncated or no plain tar"):
        read(tmp_path / "a.tar")
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("1.cls"), io.BytesIO())
    with pytest.raises(UserError, match=r"b\.tar\.gz is damaged, truncated or no plain tar"):
        read(tmp_path / "b.tar.gz")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, kind, monkeypatch):
    """A link could name any file of this machine; nothing is written either."""
    monkeypatch.chdir(tmp_path)
    member = tarfile.TarInfo("1.jpg")
    member.type, member.linkname = kind, "/etc/hostname"
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        archive.addfile(member)
    with pytest.raises(UserError, match=r"holds 1\.jpg, which is a link or a device and no file"):
        read(tmp_path / "s.tar")
    assert [path.name for path in tmp_path.rglob("*")] == ["s.tar"]


def test_names_that_lead_elsewhere_write_nothing(tmp_path, png, monkeypatch):
    """Members are read in memory, whatever they are called."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    path = write_tar(folder / "s.tar", [("../../up.png", png()), ("../../up.cls", b"1"),
                                        ("/root.png", png()), ("/root.cls", b"2")])  # fmt: skip
    assert [sample.label for sample in read(path)] == [1, 2]
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["s.tar"]


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("1.jpg", MAX_FILE_BYTES + 1, "is larger than any image"),
        ("1.json", webdataset.MAX_LABEL_BYTES + 1, "is larger than any label"),
    ],
)
def test_absurd_sizes_are_refused_unread(tmp_path, name, size, message):
    """The header says so: nothing of it comes into memory."""
    member = tarfile.TarInfo(name)
    member.size = size
    (tmp_path / "s.tar").write_bytes(member.tobuf() + bytes(2048))
    with pytest.raises(UserError, match=message):
        read(tmp_path / "s.tar")
