"""A config that changes while jobs run ends in an error."""

import json

import pytest

from tessera.config import guard
from tessera.errors import UserError


@pytest.fixture
def files(tmp_path, text, monkeypatch):
    """A config and an overlay, and no record of a launch."""
    monkeypatch.setenv(guard.VARIABLE, "")
    monkeypatch.delenv(guard.VARIABLE)
    (tmp_path / "config.yaml").write_text(text)
    (tmp_path / "over.yaml").write_text("codebooks: {k8: {clusters: 6}}\n")
    return [tmp_path / "config.yaml", tmp_path / "over.yaml"]


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_without_a_launch_nothing_is_compared(files):
    """A stage run by hand has no record."""
    guard.check()


def test_the_launch_is_recorded_for_the_jobs(files, monkeypatch, tmp_path):
    """By absolute paths: jobs may run in another folder."""
    monkeypatch.chdir(tmp_path)
    guard.fix(["config.yaml", "over.yaml"])
    record = json.loads(guard.os.environ[guard.VARIABLE])
    assert record["files"] == [str(file) for file in files]
    monkeypatch.chdir("/")
    guard.check()
    guard.fix(files)


def test_an_edit_is_an_error(files):
    """Of any of the files; undone, all is well."""
    guard.fix(files)
    for path, old, new in ((files[0], "count: 10", "count: 12"), (files[1], "6", "7")):
        edit(path, old, new)
        for function in (guard.check, lambda: guard.fix(files)):
            with pytest.raises(UserError, match=r"says something else now than when .*: put it"):
                function()
        edit(path, new, old)
        guard.check()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\nviews:", "\n# A comment\nviews:"),
        ("log_every: 10", "log_every: 3"),
        ("{threads: 1}", "{threads: 4, memory_mb: 9000}"),
        ("learning_rate: 1e-3", "learning_rate: 0.001"),
        ("{views: digits, codebook: k8}", "{codebook: k8, views: digits, label: Tokens}"),
    ],
)
def test_what_changes_no_number_may_be_edited(files, old, new):
    """Comments, logs, hardware, labels, order."""
    guard.fix(files)
    edit(files[0], old, new)
    guard.check()


def test_an_invalid_edit_is_said_as_such(files):
    """A half-saved file, or a deleted one."""
    guard.fix(files)
    edit(files[0], "clusters: 16", "clusters: none")
    with pytest.raises(UserError, match=r"is no longer valid \(config: codebooks\.k16\.clusters"):
        guard.check()
    files[0].unlink()
    with pytest.raises(UserError, match=r"is no longer valid \(the config file .* does not exist"):
        guard.check()
