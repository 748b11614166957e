"""Published weights: harmless extras are read as stand-ins, anything else is refused unexecuted."""

import argparse
import collections
import contextlib
import os
import pathlib
import pickle
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tessera.errors import UserError
from tessera.io.files import sha256_file
from tessera.io.pickles import plain
from tessera.io.published import read_checkpoint, read_state, require_digest

WEIGHT = torch.arange(6.0).reshape(2, 3)


class Call:
    """Unpickling it calls `function`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.function, self.arguments


def attack(kind: str, marker: Path) -> Any:
    """An object whose unpickling makes the file `marker`."""
    command = f"open({str(marker)!r}, 'w').close()"
    return {
        "system": Call(os.system, f"touch {marker}"),
        "eval": Call(eval, command),
        "exec": Call(exec, command),
        "popen": Call(subprocess.Popen, ["touch", str(marker)]),
        "open": Call(open, str(marker), "w"),
        "getattr": Call(getattr, str, "upper"),
        "storage": Call(torch.storage._load_from_bytes, pickle.dumps(Call(eval, command))),
        "import": Call(__import__, "this"),
    }[kind]


NAMED = {
    "system": r"posix\.system",
    "eval": r"builtins\.eval",
    "exec": r"builtins\.exec",
    "popen": r"subprocess\.Popen",
    "open": r"(_io|io)\.open",
    "getattr": r"builtins\.getattr",
    "storage": r"torch\.storage\._load_from_bytes",
    "import": r"builtins\.__import__",
}
# How an object gets into a file: as torch.save writes, as it wrote before 1.6, as pickle does.
WRITERS = {
    "zip": torch.save,
    "legacy": lambda value, path: torch.save(value, path, _use_new_zipfile_serialization=False),
    "newer protocol": lambda value, path: torch.save(value, path, pickle_protocol=4),
    "newer legacy": lambda value, path: torch.save(
        value, path, pickle_protocol=4, _use_new_zipfile_serialization=False
    ),
    "bare pickle": lambda value, path: path.write_bytes(pickle.dumps(value)),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("kind", NAMED)
def test_code_in_a_checkpoint_is_named_and_not_executed(tmp_path, kind, writer):
    """A command deep in an otherwise good checkpoint makes no file, whatever the layout."""
    path, marker = tmp_path / "checkpoint.pt", tmp_path / "executed"
    checkpoint = {
        "args": None,
        "cfg": {"model": {"arch": "gpt", "hooks": [1, (2, attack(kind, marker))]}},
        "model": {"decoder.weight": WEIGHT},
    }
    WRITERS[writer](checkpoint, path)
    for read in (read_checkpoint, read_state):
        with pytest.raises(UserError, match=NAMED[kind]) as refused:
            read(path)
        assert "Nothing in the file was executed" in str(refused.value)
        assert str(path) in str(refused.value)
    assert not marker.exists()


@pytest.mark.parametrize("writer", ["zip", "legacy", "newer protocol", "bare pickle"])
def test_the_attacks_are_real(tmp_path, writer):
    """Read without a guard, the same files do execute: the refusals above refuse something."""
    path, marker = tmp_path / "checkpoint.pt", tmp_path / "executed"
    WRITERS[writer]({"extra": attack("eval", marker)}, path)
    if writer == "bare pickle":
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize("first", ["harmless", "harmful"])
def test_a_file_of_two_kinds_hides_nothing(tmp_path, first):
    """A pickle with an archive behind it, or the reverse: what is read is what was looked at."""
    marker, parts = tmp_path / "executed", {}
    for name, value in (("harmless", {"w": WEIGHT}), ("harmful", attack("eval", marker))):
        for writer in ("zip", "legacy"):
            WRITERS[writer]({"state": value}, tmp_path / "part")
            parts[name, writer] = (tmp_path / "part").read_bytes()
    second = {"harmless": "harmful", "harmful": "harmless"}[first]
    for order in (("zip", "legacy"), ("legacy", "zip")):
        path = tmp_path / "both.pt"
        path.write_bytes(parts[first, order[0]] + parts[second, order[1]])
        with contextlib.suppress(UserError):
            found = read_checkpoint(path)
            assert first == "harmless"
            assert torch.equal(found["state"]["w"], WEIGHT)
        assert not marker.exists()


def test_code_under_a_harmless_looking_name_is_not_imported(tmp_path, monkeypatch):
    """A module of an allowed family in the working folder is never imported or called."""
    (tmp_path / "omegaconf.py").write_text("open('executed', 'w').close()\ndef run(): pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    state = b"\x80\x02}(X\x05\x00\x00\x00extracomegaconf\nrun\n)RX\x01\x00\x00\x00wK\x01u."
    Path("bad.pth").write_bytes(
        b"".join(pickle.dumps(part, 2) for part in (torch.serialization.MAGIC_NUMBER, 1001))
        + pickle.dumps({"little_endian": True, "protocol_version": 1001, "type_sizes": {}}, 2)
        + state
        + pickle.dumps([], 2)
    )
    found = read_checkpoint("bad.pth")
    assert repr(found["extra"]) == "<stand-in for omegaconf.run>"
    assert "omegaconf" not in sys.modules
    assert not Path("executed").exists()


def fake_class(monkeypatch: pytest.MonkeyPatch, name: str, bases: tuple[type, ...] = ()) -> type:
    """A class of a package that is not installed, importable until `monkeypatch.undo`."""
    module, _, short = name.rpartition(".")
    made = type(short, bases, {"__module__": module})
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:end]), types.ModuleType(parts[end - 1]))
    setattr(sys.modules[module], short, made)
    return made


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_extras_of_published_files_are_harmless(tmp_path, monkeypatch, legacy):
    """A run's arguments, Lightning's callbacks, omegaconf's nodes and numpy's numbers are read."""
    callback = fake_class(monkeypatch, "pytorch_lightning.callbacks.model_checkpoint.Callback")
    attributes = fake_class(
        monkeypatch, "pytorch_lightning.utilities.parsing.AttributeDict", (dict,)
    )
    node = fake_class(monkeypatch, "omegaconf.listconfig.ListConfig")()
    node.content = [1, 2]
    counts = collections.defaultdict(list, a=[1])
    checkpoint = {
        "args": argparse.Namespace(arch="vit_base", lr=0.1),
        "callbacks": {callback: {"best": np.float64(0.25), "empty": b""}},
        "hyper_parameters": attributes(width=8),
        "cfg": [node, pathlib.PurePosixPath("a/b"), counts, {1, 2}, b"bytes"],
        "arrays": (np.arange(6, dtype=">f4").reshape(2, 3), np.asfortranarray(np.eye(2)[:, ::-1])),
        "numbers": [np.int64(-3), np.float32(0.5), np.bool_(True)],
        "state_dict": collections.OrderedDict(weight=WEIGHT, bias=torch.ones(2).half()),
    }
    torch.save(checkpoint, tmp_path / "c.ckpt", _use_new_zipfile_serialization=not legacy)
    monkeypatch.undo()
    assert "pytorch_lightning" not in sys.modules
    before = set(torch.serialization.get_safe_globals())
    found = read_checkpoint(tmp_path / "c.ckpt")
    assert "pytorch_lightning" not in sys.modules
    assert found["args"] == argparse.Namespace(arch="vit_base", lr=0.1)
    ((key, value),) = found["callbacks"].items()
    assert key.origin == "pytorch_lightning.callbacks.model_checkpoint.Callback"
    assert value == {"best": 0.25, "empty": b""}
    assert found["hyper_parameters"] == {"width": 8}
    assert found["cfg"][0].state == {"content": [1, 2]}
    assert found["cfg"][2:] == [{"a": [1]}, {1, 2}, b"bytes"]
    for made, expected in zip(found["arrays"], checkpoint["arrays"], strict=True):
        assert made.dtype == expected.dtype
        np.testing.assert_array_equal(made, expected)
    assert found["numbers"] == [-3, 0.5, True]
    state = found["state_dict"]
    assert torch.equal(state["weight"], WEIGHT)
    assert state["bias"].dtype == torch.float16
    assert set(torch.serialization.get_safe_globals()) == before


def test_arrays_of_objects_are_refused(tmp_path):
    """They are pickles again."""
    torch.save({"a": np.array([[1], None], dtype=object)}, tmp_path / "a.pt")
    with pytest.raises(UserError, match=r"a\.pt cannot be read .*more than numbers"):
        read_checkpoint(tmp_path / "a.pt")
    torch.save({"a": np.zeros(2, dtype=[("x", "f4")])}, tmp_path / "b.pt")
    with pytest.raises(UserError, match=r"b\.pt cannot be read"):
        read_checkpoint(tmp_path / "b.pt")


@pytest.mark.parametrize("depth", [10, 200])
def test_what_is_shared_is_read_once(tmp_path, depth):
    """Each level holds the one below twice: 2^200 paths lead to the array at the bottom."""
    nested: Any = (np.arange(3),)
    for level in range(depth):
        nested = {"a": nested, "b": nested} if level % 3 == 0 else (nested, nested)
        nested = [nested, nested] if level % 2 else nested
    torch.save({"nested": nested}, tmp_path / "c.pt")
    found = read_checkpoint(tmp_path / "c.pt")["nested"]
    for level in reversed(range(depth)):
        for _ in range(1 + level % 2):
            one, other = found.values() if isinstance(found, dict) else found
            assert one is other
            found = one
    np.testing.assert_array_equal(found[0], np.arange(3))


def test_what_holds_itself_is_read(tmp_path):
    """Dicts and lists may; a tuple that does so by a list is refused, not looked at for ever."""
    around: list[Any] = [np.arange(3)]
    around.append({"around": around, "more": (np.ones(2),)})
    torch.save({"around": around}, tmp_path / "c.pt")
    found = read_checkpoint(tmp_path / "c.pt")["around"]
    assert found[1]["around"] is found
    np.testing.assert_array_equal(found[0], np.arange(3))
    np.testing.assert_array_equal(found[1]["more"][0], np.ones(2))
    within: list[Any] = []
    within.append((within,))
    with pytest.raises(pickle.UnpicklingError, match="a tuple that holds itself"):
        plain(within[0])  # such as torch writes none, but a file may have


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "legacy.pth"])
@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_broken_files_are_one_sentence(tmp_path, name, damage):
    """Cut, empty or of another kind; the sentence gives no advice to load the file unsafely."""
    path = tmp_path / name
    if name == "w.safetensors":
        path.write_bytes(b"\xff" * 8 + b'{"a": {}}')  # a header longer than the file
    else:
        torch.save({"a": WEIGHT}, path, _use_new_zipfile_serialization=name == "w.pth")
    content = {"cut": path.read_bytes()[:-60], "text": b"<html>404</html>", "empty": b""}[damage]
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be read .* fetch it again") as refused:
        read_checkpoint(path)
    assert "weights_only" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_no_checkpoint_is_named(tmp_path):
    """A bare tensor, an absent file, tensors that lie deeper."""
    torch.save(WEIGHT, tmp_path / "bare.pt")
    with pytest.raises(UserError, match=r"bare\.pt hold a Tensor where names"):
        read_checkpoint(tmp_path / "bare.pt")
    with pytest.raises(UserError, match=r"none\.pt do not exist"):
        read_checkpoint(tmp_path / "none.pt")
    torch.save({"teacher": {"w": WEIGHT}, "epoch": 3}, tmp_path / "c.pt")
    with pytest.raises(UserError, match=r"c\.pt hold no tensors but \['epoch', 'teacher'\]: give"):
        read_state(tmp_path / "c.pt")
    torch.save({"w": WEIGHT, "epoch": 3}, tmp_path / "d.pt")
    assert list(read_state(tmp_path / "d.pt")) == ["w"]


def test_published_weights_are_known_by_their_digest(tmp_path):
    """Another file under the same name is refused, as is none."""
    path = tmp_path / "vit.pth"
    with pytest.raises(UserError, match=r"vit\.pth do not exist: download them"):
        require_digest(path, "0" * 64)
    path.write_bytes(pickle.dumps({"a": 1}))
    require_digest(path, sha256_file(path))
    with pytest.raises(UserError, match=r"have the SHA-256 .*, the config says 0{64}: download"):
        require_digest(path, "0" * 64)
