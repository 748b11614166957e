"""Files against their cards."""

import io

import pytest
import torch

from tessera.integrity.checks import check_cards, check_states, total_bytes
from tessera.integrity.inventory import find_cards
from tessera.integrity.survey import Progress, age_text, size_text
from tessera.io.states import state_fault


def test_all_is_read_and_counted(folder):
    """Every file once, whatever thread does it."""
    cards, seen = find_cards(folder.results), []
    assert check_cards(cards, seen.append) == []
    assert (
        sum(seen)
        == total_bytes(cards, [])
        == sum(file.stat().st_size for file in folder.results.rglob("*.bin"))
    )


def test_each_damage_is_one_problem(folder):
    """Of the file, with the card that tells of it."""
    encoder, codebook = (folder.results / name for name in ("encoders/dino", "codebooks/k8"))
    (encoder / "card.bin").unlink()
    (codebook / "card.json").write_text("{")
    problems = check_cards(find_cards(folder.results), lambda size: None)
    assert {(problem.file, problem.card, problem.what) for problem in problems} == {
        (encoder / "card.bin", encoder / "card.json", "is missing"),
        (codebook / "card.json", codebook / "card.json", "is no valid JSON"),
    }


@pytest.mark.parametrize("place", [0.0, 0.5, 0.9])
def test_a_flipped_bit_of_a_state_is_noticed(tmp_path, place):
    """By torch itself it is read as a number."""
    state = tmp_path / "state.pt"
    torch.save({"w": torch.arange(1000.0)}, state)
    assert state_fault(state) is None
    data = bytearray(state.read_bytes())
    start = data.index(torch.arange(1000.0).numpy().tobytes())
    data[start + int(place * 4000)] ^= 64
    state.write_bytes(data)
    assert "the checksum of" in str(state_fault(state))
    (problem,) = check_states([state], lambda size: None)
    assert (problem.file, problem.card) == (state, None)


def test_progress_is_shown_from_time_to_time():
    """Not for each of thousands of files."""
    stream, seconds = io.StringIO(), iter([0.0, 1.0, 11.0, 11.0, 12.0])
    progress = Progress(3_000_000, stream, lambda: next(seconds))
    for _ in range(3):
        progress(1_000_000)
    assert stream.getvalue() == "2 MB of 3 MB read\n"


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (12_345, "12.3 kB"), (4.2e12, "4.2 TB")]
)
def test_sizes(size, text):
    """Three digits."""
    assert size_text(size) == text


@pytest.mark.parametrize(("seconds", "text"), [(7200, "2 h"), (200_000, "2 days")])
def test_ages(seconds, text):
    """Hours, then days."""
    assert age_text(seconds) == text
