"""Which files are cards."""

import json

from tessera.integrity.inventory import find_cards, find_states, read_stored


def test_cards_are_found_by_their_places(folder):
    """Other JSON beside them, logs and what a repair took away are none."""
    for name in ("shards/digits/index.json", "logs/card.json", "damaged/1/encoders/dino/card.json"):
        (folder.results / name).parent.mkdir(parents=True, exist_ok=True)
        (folder.results / name).write_text("{}")
    pairs = {f"{section}/digits/cond.json" for section in ("evaluations", "neighbours", "probes")}
    for pair in pairs:
        (folder.results / pair).parent.mkdir(parents=True)
        (folder.results / pair).write_text("{}")
    found = {
        stored.path.relative_to(folder.results).as_posix() for stored in find_cards(folder.results)
    }
    wanted = {job.card.removeprefix(f"{folder.results}/") for job in folder.planned}
    assert found == wanted | pairs


def test_no_results_yet(tmp_path):
    """Nothing is there to be checked."""
    assert find_cards(tmp_path / "absent") == []
    assert find_states(tmp_path / "absent") == []


def test_a_damaged_card_says_why(folder):
    """In the words that follow its path."""
    card = folder.results / "encoders" / "dino" / "card.json"
    card.write_text(card.read_text()[:-20])
    assert (read_stored(card).content, read_stored(card).problem) == (None, "is no valid JSON")
    card.write_text("[]")
    assert read_stored(card).problem == "is no card"
    card.unlink()
    assert read_stored(card).problem == "does not exist"


def test_outputs_lie_beside_the_card(folder):
    """With what the card tells of each."""
    stored = read_stored(folder.results / "encoders" / "dino" / "card.json")
    (entry,) = stored.outputs.items()
    assert entry[0] == folder.results / "encoders" / "dino" / "card.bin"
    assert entry[1]["bytes"] == entry[0].stat().st_size
    assert stored.inputs == json.loads(stored.path.read_text())["inputs"]
