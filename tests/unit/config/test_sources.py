"""The state of a source folder: what a run looks at to see that images changed."""

import os

import pytest

from tessera.config import sources
from tessera.config.data import DigitsData, FolderData, ParquetData, WebDatasetData
from tessera.config.sources import source_state, split_files
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
    with pytest.raises(UserError, match=r"the image folder .*absent does not exist: link your"):
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


@pytest.mark.parametrize("watch", ["files", "folders"])
def test_a_folder_without_images_is_said_before_any_job(tmp_path, watch):
    """With the endings that count."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "notes.txt").touch()
    with pytest.raises(UserError, match=r"holds no images \(.*\.jpeg.*\): check `path`"):
        state(tmp_path, watch)
    assert state(tmp_path, "nothing") == ""


@pytest.fixture
def tars(tmp_path):
    """Ten files of a training split and two of validation."""
    for split, count in (("train", 10), ("val", 2)):
        for i in range(count):
            (tmp_path / f"{split}-{i:02d}.tar").write_bytes(b"tar")
    return tmp_path


def webdataset(folder, train="train-*.tar", validation="val-*.tar", **settings) -> WebDatasetData:
    sources.forget()
    names = [train] if isinstance(train, str) else train
    return WebDatasetData(
        kind="webdataset",
        train=[f"{folder}/{name}" for name in names],
        validation=validation and f"{folder}/{validation}",
        **settings,
    )


def names(files) -> list[str]:
    return [os.path.basename(file) for file in files]


def test_patterns_are_expanded_in_the_order_of_names(tars):
    """Lists too; a file that two of them match counts once."""
    files = split_files(webdataset(tars, ["train-0[5-9].tar", "train-0?.tar"]))
    assert names(files["train"]) == [f"train-{i:02d}.tar" for i in range(10)]
    assert names(files["validation"]) == ["val-00.tar", "val-01.tar"]


def test_a_pattern_may_be_one_word(tars):
    """Or a file with brackets in its name."""
    (tars / "a[1].parquet").touch()
    settings = ParquetData(
        kind="parquet", train=f"{tars}/a[1].parquet", validation=f"{tars}/val-00.tar"
    )
    assert names(split_files(settings)["train"]) == ["a[1].parquet"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("absent-*.tar", r"no file matches .*absent-\*\.tar: correct the pattern"),
        ("train-{00..09}.tar", "write \\* for a range in braces"),
    ],
)
def test_a_pattern_that_matches_nothing_is_said(tars, pattern, message):
    """For each pattern of a list, and with the cure for braces."""
    with pytest.raises(UserError, match=message):
        split_files(webdataset(tars, ["train-*.tar", pattern]))


def test_a_file_of_both_splits_is_an_error(tars):
    """Validation would measure what was trained on."""
    with pytest.raises(UserError, match=r"train-00\.tar is matched by both `train` and"):
        split_files(webdataset(tars, validation="train-00.tar"))


def test_files_are_held_out_by_share_and_seed(tars):
    """The same ones each time, others with another seed, and always at least one."""
    held = [
        names(split_files(webdataset(tars, validation=None, **settings))["validation"])
        for settings in ({}, {}, {"seed": 2}, {"validation_share": 0.5}, {"validation_share": 0.01})
    ]
    assert held[0] == held[1] != held[2]
    assert [len(each) for each in held] == [2, 2, 2, 5, 1]
    files = split_files(webdataset(tars, validation=None))
    assert names(sorted([*files["train"], *files["validation"]])) == [
        f"train-{i:02d}.tar" for i in range(10)
    ]
    with pytest.raises(UserError, match="is the only file, so none can be held out"):
        split_files(webdataset(tars, "train-00.tar", validation=None))


@pytest.mark.parametrize(
    ("watch", "change", "seen"),
    [
        ("files", "bytes", True), ("files", "time", True), ("files", "added", True),
        ("folders", "bytes", False), ("folders", "time", False), ("folders", "added", True),
        ("nothing", "added", False),
    ],
)  # fmt: skip
def test_changed_files_are_seen(tars, watch, change, seen):
    """As far as they are watched."""
    before, file = source_state(webdataset(tars, watch=watch)), tars / "train-03.tar"
    assert source_state(webdataset(tars, watch=watch)) == before
    if change == "bytes":
        file.write_bytes(b"another")
    elif change == "time":
        os.utime(file, ns=(1, 1))
    else:
        (tars / "train-10.tar").touch()
    assert (source_state(webdataset(tars, watch=watch)) != before) == seen


def test_each_kind_has_its_state(folder):
    """A folder that of its files; digits have none."""
    settings = FolderData(kind="folder", path=str(folder), in_place=True)
    assert source_state(settings) == state(folder)
    assert source_state(DigitsData(kind="digits")) is None
