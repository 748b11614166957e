"""The state of a source folder: what a run looks at to see that images changed."""

import os

import pytest

from tessera.config import sources
from tessera.errors import UserError


@pytest.fixture
def folder(tmp_path):
    """Two classes of two images."""
    for label in "ab":
        (tmp_path / label).mkdir()
        for name in ("1.png", "2.png"):
            (tmp_path / label / name).write_bytes(b"image")
    return tmp_path


def state(folder, watch="files") -> str:
    sources.fingerprint.cache_clear()
    return sources.fingerprint(str(folder), watch)


def test_the_state_is_stable(folder):
    """Looking changes nothing."""
    assert state(folder) == state(folder)
    assert len(state(folder)) == 20


@pytest.mark.parametrize("change", ["bytes", "time", "added", "removed", "renamed"])
def test_every_change_of_a_file_is_seen(folder, change):
    """Nothing is read: names, sizes and times tell."""
    before, file = state(folder), folder / "b" / "2.png"
    if change == "bytes":
        file.write_bytes(b"another image")
    elif change == "time":
        os.utime(file, ns=(1, 1))
    elif change == "added":
        (folder / "a" / "3.png").write_bytes(b"image")
    elif change == "removed":
        file.unlink()
    else:
        file.rename(folder / "b" / "3.png")
    assert state(folder) != before


def test_folders_are_watched_for_their_lists_of_files(folder):
    """A thousand looks instead of a million: an added file is seen, a rewritten one is not."""
    before, file = state(folder, "folders"), folder / "b" / "2.png"
    os.utime(file, ns=(1, 1))
    assert state(folder, "folders") == before
    file.unlink()
    assert state(folder, "folders") != before


def test_nothing_may_be_watched(folder):
    """For folders on slow disks that never change."""
    assert state(folder, "nothing") == ""


@pytest.mark.parametrize("watch", ["files", "folders", "nothing"])
def test_a_missing_folder_is_said(tmp_path, watch):
    """In every mode."""
    with pytest.raises(UserError, match=r"the image folder .*absent does not exist: set `path`"):
        state(tmp_path / "absent", watch)


def test_a_folder_that_moved_is_the_same(folder, tmp_path_factory):
    """Names below the folder count, not where it lies."""
    before = state(folder)
    moved = tmp_path_factory.mktemp("other") / "images"
    folder.rename(moved)
    assert state(moved) == before


def test_links_are_followed_and_dead_ones_are_no_error(folder, tmp_path_factory):
    """Classes are often links into a larger data set."""
    elsewhere = tmp_path_factory.mktemp("large")
    (elsewhere / "1.png").write_bytes(b"image")
    (folder / "c").symlink_to(elsewhere)
    (folder / "a" / "gone.png").symlink_to(elsewhere / "absent.png")
    before = state(folder)
    (elsewhere / "1.png").write_bytes(b"another image")
    assert state(folder) != before
