"""The code of each stage, edited in a copy of the package: what is a change, and what decides."""

import shutil
from pathlib import Path

import pytest

from tessera.config.lock import Lock
from tessera.config.schema import stages
from tessera.decisions import find_moves, record
from tessera.fingerprint import PACKAGE, Package


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    """A copy of the package's source."""
    root = tmp_path_factory.mktemp("source") / PACKAGE.name
    shutil.copytree(PACKAGE, root, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture(scope="module")
def decided(copied) -> Lock:
    """A lock in which the code of all stages is on record."""
    return record(Package(copied), {}, accept=stages())


def test_words_in_the_module_of_any_stage_ask_nobody(copied, decided):
    """Another docstring and another comment, in all of them at once."""
    texts = {stage: (copied / "stages" / f"{stage}.py").read_text() for stage in stages()}
    for stage, text in texts.items():
        path = copied / "stages" / f"{stage}.py"
        path.write_text(text.replace('"""', '"""Other words: ', 1) + "\n# a comment\n")
        assert path.read_text() != text
    try:
        assert find_moves(Package(copied), decided, stages()) == []
    finally:
        for stage, text in texts.items():
            (copied / "stages" / f"{stage}.py").write_text(text)


@pytest.mark.parametrize("stage", stages())
def test_code_in_the_module_of_a_stage_asks_for_a_decision(copied, decided, stage):
    """Accepted, its version stays, so that no job runs; bumped, its version alone is raised."""
    path = copied / "stages" / f"{stage}.py"
    text = path.read_text()
    path.write_text(text + "\nMORE = 1\n")
    try:
        package = Package(copied)
        (move,) = find_moves(package, decided, [stage])
        assert move.changed == (f"tessera.stages.{stage}",)
        accepted = record(package, decided, accept=[stage])
        bumped = record(package, decided, bump=[stage])
        for lock, raised in ((accepted, 0), (bumped, 1)):
            assert find_moves(package, lock, [stage]) == []
            assert {name: entry["version"] for name, entry in lock.items()} == {
                name: 1 + raised * (name == stage) for name in stages()
            }
    finally:
        path.write_text(text)
