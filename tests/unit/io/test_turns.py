"""One process at a time makes a result."""

import errno
import fcntl
from concurrent.futures import ThreadPoolExecutor

import pytest

from tessera.io import turns
from tessera.io.turns import turn


def test_nobody_else_is_there(tmp_path):
    """No wait, and nothing is left behind, not even the folders that were made for the lock."""
    with turn(tmp_path / "a" / "b" / "card.json") as waited:
        assert not waited
        assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == [".card.json.lock"]
    assert list(tmp_path.iterdir()) == []


def test_what_was_made_stays(tmp_path):
    """Other files, and folders that were there."""
    (tmp_path / "a").mkdir()
    with turn(tmp_path / "a" / "card.json"):
        (tmp_path / "a" / "card.json").touch()
    with turn(tmp_path / "a" / "other.json"):
        pass
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["card.json"]


def count(card, times) -> None:
    """Raises the number in a file, which two at once would do wrongly."""
    for _ in range(times):
        with turn(card):
            value = int(card.read_text())
            card.write_text("")
            card.write_text(str(value + 1))


def test_turns_exclude_each_other(tmp_path, monkeypatch):
    """Also where one waits for a file that the one before deletes at its end."""
    monkeypatch.setattr(turns, "PATIENCE", 0.0)
    card = tmp_path / "card.json"
    card.write_text("0")
    # Threads stand for processes: each opens the file anew, and locks belong to open files.
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(count, [card] * 3, [200] * 3))
    assert card.read_text() == "600"


def test_an_error_gives_the_turn_back(tmp_path):
    """The next one need not wait."""
    with pytest.raises(ValueError, match="broken"), turn(tmp_path / "card.json"):
        raise ValueError("broken")
    with turn(tmp_path / "card.json") as waited:
        assert not waited


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    """Nobody waits, and the work is done."""

    def unsupported(handle, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with turn(tmp_path / "card.json") as waited:
        assert not waited
