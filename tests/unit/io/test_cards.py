"""Cards: what a job made, checked when it is read."""

import json
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest

from tessera.errors import UserError
from tessera.io.cards import read_card, write_card
from tessera.io.parts import write_part

NODE = {"stage": "stage1", "version": 1, "settings": {"seed": 0}, "inputs": {}}
RUN = {"seconds": 1.5, "peak_memory_mb": 100.0, "device": "cpu", "threads": 1}


def make(folder, content=b"weights", results=None, run=RUN):
    (folder / "below").mkdir(parents=True, exist_ok=True)
    files = [folder / "model.bin", folder / "below" / "part.tar"]
    for file in files:
        file.write_bytes(content)
    card = folder / "card.json"
    write_card(card, NODE, {"tokens": "abc"}, files, results or {"loss": 1.0}, run)
    return card


def test_a_card_tells_what_was_made_of_what(tmp_path):
    """Node, inputs, outputs with their digests, results, and the run."""
    card = read_card(make(tmp_path), "stage1")
    assert card["node"] == NODE
    assert card["inputs"] == {"tokens": "abc"}
    assert set(card["outputs"]) == {"model.bin", "below/part.tar"}
    assert card["outputs"]["model.bin"]["bytes"] == 7
    assert card["results"] == {"loss": 1.0}
    assert card["run"]["seconds"] == 1.5
    assert card["run"]["packages"]["numpy"]


def test_versions_of_what_is_installed(tmp_path, monkeypatch):
    """What reads parquet too; a package that is absent is not named."""
    installed = {"torch": "2.10", "pyarrow": "18.0", "other": "1.0"}

    def version(package):
        if package not in installed:
            raise PackageNotFoundError(package)
        return installed[package]

    monkeypatch.setattr("tessera.io.cards.version", version)
    found = read_card(make(tmp_path))["run"]["packages"]
    assert found == {name: text for name, text in installed.items() if name != "other"}


def test_equal_runs_have_equal_digests(tmp_path):
    """Speed, memory and time do not count; results and files do."""
    digests = [
        read_card(make(tmp_path / name, **options))["digest"]
        for name, options in {
            "a": {},
            "b": {"run": RUN | {"seconds": 9.0, "device": "cuda"}},
            "c": {"results": {"loss": 2.0}},
            "d": {"content": b"other weights"},
        }.items()
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("model.bin", None, r"model\.bin is missing \(by its card, card\.json\)"),
        ("model.bin", b"weight", r"model\.bin is truncated \(6 bytes of 7\)"),
        ("model.bin", b"weights!", r"model\.bin is altered \(8 bytes of 7\)"),
        ("model.bin", b"weightz", r"model\.bin is damaged \(its SHA-256 differs\)"),
        ("below/part.tar", None, r"part\.tar is missing"),
        ("below/part.tar", b"weigh", r"part\.tar is truncated"),
    ],
)
def test_a_changed_output_is_noticed(tmp_path, name, change, sentence):
    """Missing, truncated, or of other bytes; the sentence says what to do."""
    card = make(tmp_path)
    if change is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(change)
    with pytest.raises(UserError, match=sentence + r".*: run `tessera repair`, which"):
        read_card(card)


def test_a_card_of_another_stage_is_refused(tmp_path):
    """Paths given in the wrong order."""
    with pytest.raises(UserError, match=r"is the card of the stage 'stage1', not of 'codebook'"):
        read_card(make(tmp_path), "codebook")


@pytest.mark.parametrize(
    "change",
    [
        {"results": {"loss": 7.0}},
        {"digest": "0" * 64},
        {"outputs": {}},
        {"results": None},
        {"outputs": {"model.bin": {}}},
    ],
    ids=str,
)
def test_a_card_whose_numbers_were_altered_is_refused(tmp_path, change):
    """A flipped byte in a number would else stand in a table."""
    card = make(tmp_path)
    card.write_text(json.dumps(json.loads(card.read_text()) | change))
    with pytest.raises(UserError, match=r"card\.json is damaged .* digest\): run `tessera repair`"):
        read_card(card)


def test_a_card_tells_the_shapes_of_a_part(tmp_path):
    """By array; a part of other shapes is refused even where the card vouches for its bytes."""
    file, card = tmp_path / "part.zarr.zip", tmp_path / "part.json"
    write_part(file, {"codes": np.zeros((5, 2, 4), np.uint16), "number": np.arange(5)}, {})
    write_card(card, NODE, {}, [file], {}, RUN)
    content = read_card(card)
    entry = content["outputs"]["part.zarr.zip"]
    assert entry["arrays"] == {"codes": [5, 2, 4], "number": [5]}
    entry["arrays"]["codes"] = [6, 2, 4]
    card.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"holds arrays of other shapes .*5, 2, 4.* not .*6, 2, 4"):
        read_card(card)


@pytest.mark.parametrize("content", ["[]", "{}", '{"stage": "stage1"}', "3"])
def test_json_that_is_no_card_is_one_sentence(tmp_path, content):
    """Some other JSON file was given."""
    (tmp_path / "card.json").write_text(content)
    with pytest.raises(UserError, match=r"card\.json is no card: "):
        read_card(tmp_path / "card.json")


def test_a_folder_may_be_moved(tmp_path):
    """Outputs are named relative to the card."""
    make(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    assert read_card(tmp_path / "new" / "card.json")["stage"] == "stage1"


def test_an_output_without_bytes_is_an_error(tmp_path):
    """A stage that forgot to write a file has not finished: no card."""
    with pytest.raises(FileNotFoundError):
        write_card(tmp_path / "card.json", NODE, {}, [tmp_path / "absent"], {}, RUN)
    assert not (tmp_path / "card.json").exists()


def test_nan_in_the_results_makes_no_card(tmp_path):
    """A number that is none must not reach a table."""
    with pytest.raises(ValueError, match="Out of range"):
        make(tmp_path, results={"loss": float("nan")})
    assert not (tmp_path / "card.json").exists()
    assert json.dumps(NODE)
