"""The state of an unfinished training on disk."""

import errno
import os
import zipfile

import pytest
import torch

from tessera.errors import UserError
from tessera.train.checkpoints import Checkpoint

STATE = {"weights": {"w": torch.arange(6.0).view(2, 3)}, "numbers": [1, 2.5], "name": "x"}


def test_a_state_comes_back(tmp_path):
    """Tensors, numbers, lists and strings, with the number of updates."""
    Checkpoint(tmp_path / "a").save(7, STATE)
    step, state = Checkpoint(tmp_path / "a").load()
    assert step == 7
    assert torch.equal(state["weights"]["w"], STATE["weights"]["w"])
    assert (state["numbers"], state["name"]) == ([1, 2.5], "x")


def test_nothing_was_saved(tmp_path):
    """A new training, not an error; and nothing is made by looking."""
    assert Checkpoint(tmp_path / "a").load() is None
    assert not (tmp_path / "a").exists()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def step_of(path):
    return torch.load(path, weights_only=True)["step"]


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_the_last_two_states_are_kept(tmp_path, monkeypatch, links):
    """Two files, each replaced as a whole."""
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    checkpoint = Checkpoint(tmp_path)
    for step in (1, 2, 3):
        checkpoint.save(step, STATE)
    assert checkpoint.load()[0] == 3
    assert names(tmp_path) == ["earlier.pt", "state.pt"]
    assert step_of(checkpoint.earlier) == 2


def no_links(*paths):
    raise PermissionError(errno.EPERM, "Operation not permitted")


def test_no_more_room_than_for_two(tmp_path, monkeypatch):
    """While the third state is written, the first is gone already."""
    checkpoint, save, seen = Checkpoint(tmp_path), torch.save, []

    def watch(value, stream):
        seen.append(len(names(tmp_path)))
        save(value, stream)

    monkeypatch.setattr(torch, "save", watch)
    for step in (1, 2, 3, 4):
        checkpoint.save(step, STATE)
    assert seen == [1, 2, 2, 2]  # the file that is being written, and the last state


def test_a_full_disk_keeps_the_earlier_state(tmp_path, monkeypatch):
    """The new one is not begun under the old one's name."""
    checkpoint = Checkpoint(tmp_path)
    checkpoint.save(1, STATE)

    def full(value, stream):
        stream.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(UserError, match="no space is left"):
            checkpoint.save(2, STATE)
    assert checkpoint.load()[0] == 1
    assert names(tmp_path) == ["state.pt"]


def cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def empty(path):
    path.write_bytes(b"")


def garbage(path):
    path.write_bytes(b"\x80\x04garbage" * 50)


def text(path):
    path.write_text("not found")


def no_torch_file(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "b")


def other_keys(path):
    torch.save({"epoch": 3}, path)


def no_map(path):
    torch.save(torch.zeros(3), path)


def flipped(path):
    """In the middle of a weight, where torch itself would not notice."""
    data = bytearray(path.read_bytes())
    data[data.index(STATE["weights"]["w"].numpy().tobytes()) + 5] ^= 1
    path.write_bytes(data)


DAMAGES = [cut, empty, garbage, text, no_torch_file, other_keys, no_map, flipped]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file(tmp_path, damage):
    """One sentence with the file and the cure, whatever is in it."""
    checkpoint = Checkpoint(tmp_path)
    checkpoint.save(1, STATE)
    damage(checkpoint.file)
    with pytest.raises(UserError, match=r"state\.pt is damaged.*: delete its folder and run again"):
        checkpoint.load()


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_earlier_state_stands_in(tmp_path, caplog, damage):
    """The damaged one is named; it is replaced before the earlier one is."""
    checkpoint = Checkpoint(tmp_path)
    for step in (1, 2):
        checkpoint.save(step, STATE)
    damage(checkpoint.file)
    step, state = checkpoint.load()
    assert step == 1
    assert torch.equal(state["weights"]["w"], STATE["weights"]["w"])
    assert f"the checkpoint {checkpoint.file} is damaged" in caplog.text
    checkpoint.save(3, STATE)
    assert step_of(checkpoint.earlier) == 1
    assert Checkpoint(tmp_path).load()[0] == 3
    checkpoint.save(4, STATE)
    assert step_of(checkpoint.earlier) == 3


def test_both_states_are_damaged(tmp_path):
    """One sentence."""
    checkpoint = Checkpoint(tmp_path)
    for step in (1, 2):
        checkpoint.save(step, STATE)
    cut(checkpoint.file)
    cut(checkpoint.earlier)
    with pytest.raises(UserError, match="delete its folder"):
        checkpoint.load()


class Hostile:
    """What pickle would call when it is read."""

    called = False

    def __reduce__(self):
        return Hostile.call, ()

    @staticmethod
    def call():
        Hostile.called = True


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    """Only tensors and plain values are read."""
    checkpoint = Checkpoint(tmp_path)
    torch.save({"step": 1, "state": Hostile()}, checkpoint.file)
    with pytest.raises(UserError, match="is damaged"):
        checkpoint.load()
    assert not Hostile.called


def test_removed_at_the_end(tmp_path):
    """With all that lies beside it; a second time is no error."""
    checkpoint = Checkpoint(tmp_path / "a")
    checkpoint.save(1, STATE)
    (tmp_path / "a" / "metrics.jsonl").touch()
    checkpoint.remove()
    checkpoint.remove()
    assert not (tmp_path / "a").exists()
