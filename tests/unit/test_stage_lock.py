"""Versions of stages, and the fingerprints of the code that belongs to them."""

from pathlib import Path

import pytest

from tessera.config.lock import read_lock
from tessera.config.schema import stages
from tessera.decisions import find_moves, question, record
from tessera.fingerprint import CANNOT_CHANGE_NUMBERS, Package, fingerprint

# Two stages; `maths` is imported by one at the top, `paint` by the other inside a function.
FILES = {
    "__init__.py": '"""A package."""\n',
    "maths.py": '"""Sums."""\n\n\ndef add(a, b):\n    """Adds."""\n    return a + b\n',
    "paint/__init__.py": "FACTOR = 2\n",
    "paint/brush.py": "from ..maths import add\n\n\ndef stroke(x):\n    return add(x, 1)\n",
    "paint/unused.py": "LEFT = 1\n",
    "guards.py": "from toy.everything import ALL\n",
    "everything.py": "ALL = 1\n",
    "stages/__init__.py": "",
    "stages/count.py": "from toy.maths import add\nimport toy.guards\n\nTOTAL = add(1, 2)\n",
    "stages/draw.py": "def work():\n    from toy.paint import brush\n\n    brush.stroke(3)\n",
    "stages/wait.py": "import time\n\n\ndef work():\n    # nothing\n    time.sleep(1)\n",
}
STAGES = ("count", "draw", "wait")


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A small package of three stages."""
    root = tmp_path / "toy"
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def package(root: Path) -> Package:
    return Package(root, cut=frozenset({"guards"}))


def moved(root: Path, lock) -> dict[str, tuple]:
    """Stage → (changed, added, removed) of those that moved."""
    moves = find_moves(package(root), lock, STAGES)
    return {move.stage: (move.changed, move.added, move.removed) for move in moves}


def test_every_stage_is_decided():
    """No stage's code differs from the code on record: its version or its entry is up to date."""
    moves = find_moves(Package(), read_lock(), stages())
    if moves:
        pytest.fail(question(moves), pytrace=False)


def test_the_lock_names_the_stages_of_the_config():
    """A stage that was removed or renamed leaves nothing behind in the lock."""
    assert sorted(read_lock()) == sorted(stages())


def test_what_is_cut_exists():
    """A renamed module would silently be followed again."""
    package = Package()
    assert all(package.file(f"tessera.{module}") for module in CANNOT_CHANGE_NUMBERS)


def test_modules_are_found_through_every_kind_of_import(toy):
    """At the top, inside functions, relative, submodules by `from`, and packages' __init__."""
    draw = {"toy", "toy.stages", "toy.stages.draw", "toy.paint", "toy.paint.brush", "toy.maths"}
    assert set(package(toy).modules("draw")) == draw
    assert set(package(toy).modules("count")) == {"toy", "toy.stages", "toy.stages.count"} | {
        "toy.maths"
    }
    assert set(package(toy).modules("wait")) == {"toy", "toy.stages", "toy.stages.wait"}


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("maths.py", "a + b", "a - b", {"count": "toy.maths", "draw": "toy.maths"}),
        ("paint/brush.py", "add(x, 1)", "add(x, 2)", {"draw": "toy.paint.brush"}),
        ("paint/__init__.py", "2", "3", {"draw": "toy.paint"}),
        ("stages/wait.py", "sleep(1)", "sleep(2)", {"wait": "toy.stages.wait"}),
        ("paint/unused.py", "1", "2", {}),
        ("guards.py", "import ALL", "import ALL as A", {}),
        ("everything.py", "1", "2", {}),
    ],
)
def test_code_moves_the_stages_that_import_it(toy, file, old, new, expected):
    """A change moves exactly the stages that run it, and is named."""
    lock = record(package(toy), {}, accept=STAGES)
    text = (toy / file).read_text()
    assert old in text
    (toy / file).write_text(text.replace(old, new))
    assert moved(toy, lock) == {stage: ((name,), (), ()) for stage, name in expected.items()}


@pytest.mark.parametrize(
    "text",
    [
        "def add(a, b):\n    return a + b\n",
        '"""Other words."""\n# a comment\n\n\n\ndef add(a, b):  # why\n\n    return a + b\n',
        '"""Sums."""\ndef add(\n    a,\n    b,\n):\n    "Adds."\n    return (a + b)\n',
    ],
    ids=["no docstrings", "comments and blank lines", "formatting"],
)
def test_words_and_formatting_move_nothing(toy, text):
    """Comments, docstrings, blank lines and line breaks are no code."""
    lock = record(package(toy), {}, accept=STAGES)
    (toy / "maths.py").write_text(text)
    assert moved(toy, lock) == {}


def test_the_description_of_a_setting_is_documentation(toy):
    """`Field(description=…)` may be reworded; its bounds may not."""
    (toy / "maths.py").write_text("add = Field(1, ge=0, description='old')\n")
    lock = record(package(toy), {}, accept=STAGES)
    (toy / "maths.py").write_text("add = Field(1, ge=0, description='new')\n")
    assert moved(toy, lock) == {}
    (toy / "maths.py").write_text("add = Field(1, ge=1, description='new')\n")
    assert set(moved(toy, lock)) == {"count", "draw"}


def test_an_import_that_comes_or_goes_is_named(toy):
    """The stage's own module changed, and what it imports did."""
    lock = record(package(toy), {}, accept=STAGES)
    (toy / "stages/wait.py").write_text("import toy.paint.unused\n")
    (toy / "stages/count.py").write_text("TOTAL = 3\n")
    assert moved(toy, lock) == {
        "wait": (("toy.stages.wait",), ("toy.paint", "toy.paint.unused"), ()),
        "count": (("toy.stages.count",), (), ("toy.maths",)),
    }


def test_accept_keeps_the_version_and_bump_raises_it(toy):
    """Both record the code, for the stages named and no others."""
    lock = record(package(toy), {}, accept=STAGES)
    (toy / "maths.py").write_text("def add(a, b):\n    return b + a\n")
    decided = record(package(toy), lock, accept=["count"])
    assert decided["count"]["version"] == 1
    assert set(moved(toy, decided)) == {"draw"}
    decided = record(package(toy), decided, bump=["draw"])
    assert decided["draw"]["version"] == 2
    assert moved(toy, decided) == {}


def test_the_question_names_stages_modules_and_commands(toy):
    """Whoever reads the failing test knows what to type."""
    lock = record(package(toy), {}, accept=STAGES)
    (toy / "paint/brush.py").write_text("def stroke(x):\n    return x\n")
    text = question(find_moves(package(toy), lock, STAGES))
    assert "draw: changed toy.paint.brush; no longer imports toy.maths" in text
    assert "tessera lock --bump draw" in text
    assert "tessera lock --accept draw" in text


def test_a_stage_without_a_module_is_said(toy):
    """A typo in the list of stages cannot pass."""
    with pytest.raises(FileNotFoundError, match=r"toy\.stages\.missing"):
        package(toy).modules("missing")


def test_the_fingerprint_ignores_the_order_of_modules():
    """It is a digest of a set."""
    assert fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})
    assert fingerprint({"a": "1", "b": "2"}) != fingerprint({"a": "2", "b": "1"})
