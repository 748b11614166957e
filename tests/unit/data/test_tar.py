"""Members of tar files, against tarfile."""

import io
import tarfile

import pytest

from tessera.data.tar import members, read_header


def write(path, entries, format=tarfile.PAX_FORMAT, **options):
    """A tar file of names and bytes, or of whole headers and bytes."""
    with tarfile.open(path, "w", format=format, **options) as archive:
        for entry, data in entries:
            member = entry if isinstance(entry, tarfile.TarInfo) else tarfile.TarInfo(entry)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def named(name, kind):
    """A header of another kind of member."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "elsewhere"
    return member


ENTRIES = [
    ("a.jpg", b"1" * 700),
    ("empty", b""),
    ("folder/b.cls", b"12"),
    (f"{'long/' * 30}c.png", b"long"),  # a member of its own holds the name
    (named("folder", tarfile.DIRTYPE), b""),
    ("bär.jpg", b"3" * 512),
    (f"{'p' * 90}/{'n' * 60}.jpg", b"split"),  # two fields of the header hold the name
    (named("link", tarfile.SYMTYPE), b""),
    ("last", b"4" * 513),
]


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_members_are_those_of_tarfile(tmp_path, format):
    """Names, sizes, kinds and bytes, in every dialect."""
    entries = ENTRIES if format != tarfile.USTAR_FORMAT else ENTRIES[:3] + ENTRIES[4:]
    path = write(tmp_path / "s.tar", entries, format)
    found = [(m.name, m.size, m.kind, m.read()) for m in members(path)]
    with tarfile.open(path) as archive:
        expected = []
        for member in archive:
            extracted = archive.extractfile(member) if member.isreg() else None
            kind = "file" if member.isreg() else "folder" if member.isdir() else "other"
            content = extracted.read() if extracted else b""
            expected.append((member.name, member.size, kind, content))
    assert found == expected
    assert len(found) == len(entries)


SPARSE = 6_000_000, ((1024, 512), (4_000_000, 488))
"""Size of a file, and where in it are bytes other than 0, and how many."""


def write_sparse(path, format):
    """A sparse file between two ordinary ones, as GNU tar stores it."""
    size, pieces = SPARSE
    content = b"x" * 512 + b"y" * 488
    if format == tarfile.PAX_FORMAT:
        holes = tarfile.TarInfo("holes")
        listed = ",".join(f"{start},{length}" for start, length in pieces)
        holes.pax_headers = {"GNU.sparse.size": str(size), "GNU.sparse.map": listed}
        return write(path, [("a", b"1"), (holes, content), ("b", b"2")])
    header = bytearray(tarfile.TarInfo("holes").tobuf())
    header[124:136] = b"%011o\0" % len(content)
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:434] = b"".join(b"%011o\0" % number for piece in pieces for number in piece)
    header[483:495] = b"%011o\0" % size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    ordinary = write(path, [("a", b"1"), ("b", b"2")], format).read_bytes()
    path.write_bytes(ordinary[:1024] + header + content.ljust(1024, b"\0") + ordinary[1024:])
    return path


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_sparse_files_are_put_together(tmp_path, format):
    """Their bytes in the archive are not theirs: holes are left out."""
    path = write_sparse(tmp_path / "s.tar", format)
    found = [(m.name, m.size, m.kind, m.read()) for m in members(path)]
    size, pieces = SPARSE
    expected = bytearray(size)
    for (start, length), byte in zip(pieces, b"xy", strict=True):
        expected[start : start + length] = bytes([byte]) * length
    assert found == [
        ("a", 1, "file", b"1"), ("holes", size, "file", bytes(expected)), ("b", 1, "file", b"2"),
    ]  # fmt: skip
    with tarfile.open(path) as archive:
        assert archive.extractfile("holes").read() == expected


@pytest.mark.parametrize("size", [-1, -512])
@pytest.mark.parametrize("place", [0, 1])
def test_a_negative_size_is_an_error(tmp_path, size, place):
    """It would be read as all that follows, or the same header for ever."""
    path = write(tmp_path / "s.tar", [("a", b"1"), ("b", b"2")])
    data = bytearray(path.read_bytes())
    header = data[1024 * place : 1024 * place + 512]
    header[124:136] = b"\xff" + (256**11 + size).to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    data[1024 * place : 1024 * place + 512] = header
    path.write_bytes(data)
    with pytest.raises(tarfile.TarError):
        list(members(path))


def test_global_headers_hold_for_what_follows(tmp_path):
    """Tarfile applies them, so ordinary headers are left to it as well."""
    path = write(tmp_path / "s.tar", [("a", b"1"), ("b", b"2")], pax_headers={"path": "other"})
    assert [member.name for member in members(path)] == ["other", "other"]


def test_what_is_passed_over_is_not_read(tmp_path):
    """Bytes come where they are asked for, in any order while the file is open."""
    path = write(tmp_path / "s.tar", [(str(i), bytes([i]) * 600) for i in range(5)])
    waiting = None
    for member in members(path):
        if waiting is not None:
            assert waiting.read() == bytes([int(waiting.name)]) * 600
        waiting = member


@pytest.mark.parametrize("place", [0, 100, 124, 148, 156])
def test_a_damaged_header_is_left_to_tarfile(tmp_path, place):
    """Name, mode, size, checksum or kind: nothing is taken for an ordinary file."""
    path = write(tmp_path / "s.tar", [("a.jpg", b"1")])
    header = bytearray(path.read_bytes()[:512])
    assert read_header(bytes(header)) == ("a.jpg", 1)
    header[place] ^= 0x05
    assert read_header(bytes(header)) is None
    assert read_header(bytes(header[:511])) is None
