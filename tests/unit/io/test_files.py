"""Files that are either whole or absent."""

import errno
import json
import os

import pytest
from safetensors import SafetensorError

from tessera.errors import UserError
from tessera.io.files import (
    is_disk_full,
    read_json,
    sha256_file,
    whole_file,
    write_json,
    write_text,
)


def test_a_whole_file_appears_at_the_end(tmp_path):
    """Under its name only when the block has ended; its folder is made."""
    path = tmp_path / "a" / "b" / "file.bin"
    with whole_file(path) as temporary:
        temporary.write_bytes(b"data")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_bytes() == b"data"
    assert os.listdir(path.parent) == ["file.bin"]


def write_failing(path, error):
    with whole_file(path) as temporary:
        temporary.write_bytes(b"half")
        raise error


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(1)])
def test_an_interrupted_write_leaves_nothing(tmp_path, error):
    """Whatever stops it, also a signal."""
    with pytest.raises(type(error)):
        write_failing(tmp_path / "file", error)
    assert os.listdir(tmp_path) == []


def test_an_interrupted_write_keeps_the_old_file(tmp_path):
    """The old content is there until the new one is whole."""
    (tmp_path / "file").write_text("old")
    with pytest.raises(ValueError, match="x"):
        write_failing(tmp_path / "file", ValueError("x"))
    assert (tmp_path / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_others_may_read_what_is_written(tmp_path):
    """As the umask allows, not only the owner."""
    mask = os.umask(0o022)
    try:
        write_text(tmp_path / "file", "x")
    finally:
        os.umask(mask)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


FULL = OSError(errno.ENOSPC, "No space left on device")
TORCH = RuntimeError("[enforce fail at inline_container.cc:595] . PytorchStreamWriter failed")


@pytest.mark.parametrize("error", [FULL, OSError(errno.EDQUOT, "Quota exceeded"), TORCH])
def test_a_full_disk_is_one_sentence(tmp_path, error):
    """Also as torch reports it; nothing is left behind."""
    with pytest.raises(UserError, match=r"no space is left on the disk .*: free some, or move"):
        write_failing(tmp_path / "file", error)
    assert os.listdir(tmp_path) == []


def test_a_disk_that_is_full_at_the_flush_is_said(tmp_path, monkeypatch):
    """The system may notice only when the data is flushed."""

    def full(descriptor):
        raise FULL

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="no space is left"):
        write_text(tmp_path / "file", "x")
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_known_through_what_it_caused():
    """Libraries wrap the system's error in their own."""
    outer = ValueError("could not save")
    outer.__cause__ = FULL
    assert is_disk_full(outer)
    assert is_disk_full(SafetensorError("I/O error: No space left on device (os error 28)"))
    assert not is_disk_full(ValueError("no space left"))
    assert not is_disk_full(OSError(errno.EACCES, "denied"))
    assert not is_disk_full(None)


def test_json_is_written_sorted_and_without_nan(tmp_path):
    """The same value makes the same bytes."""
    write_json(tmp_path / "a.json", {"b": 1, "a": [1.5, None]})
    write_json(tmp_path / "b.json", {"a": [1.5, None], "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [1.5, None], "b": 1}
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "c.json", float("inf"))
    assert not (tmp_path / "c.json").exists()


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"\xff\xfe"])
def test_damaged_json_is_one_sentence(tmp_path, content):
    """Empty, cut off, or no text."""
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.json is no valid JSON: run `tessera repair`"):
        read_json(tmp_path / "a.json")


def test_absent_json_is_one_sentence(tmp_path):
    """It names the file."""
    with pytest.raises(UserError, match=r"a\.json does not exist: run the stage"):
        read_json(tmp_path / "a.json")


def test_sha256_of_a_file(tmp_path):
    """FIPS 180-2's test vector."""
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_file(tmp_path / "abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
