"""What killed jobs leave behind, and what of it may go."""

import os
from dataclasses import replace

from tessera.integrity.inventory import find_cards
from tessera.integrity.leftovers import SAFE_SECONDS, find_leftovers
from tessera.io.files import write_json

from .conftest import ENCODER, node

NOW = 2_000_000.0


def put(path, age: float, text: str = "half") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(text)
    os.utime(path, (NOW - age, NOW - age))


def resume(folder, key: str, card: str, of: dict, age: float = 9 * SAFE_SECONDS) -> None:
    """A resume folder with a state of 4 bytes."""
    place = folder.results / "resume" / "encoder" / key
    write_json(place / "owner.json", {"card": card, "node": of})
    for name in ("owner.json", "state.pt"):
        put(place / name, age)


def found(folder) -> dict:
    leftovers = find_leftovers(folder.results, find_cards(folder.results), folder.planned, NOW)
    return {
        leftover.path.relative_to(folder.results).as_posix(): leftover for leftover in leftovers
    }


def test_temporary_files(folder):
    """Young ones may be some process's, old ones are nobody's. Hidden files of others stay."""
    put(folder.results / "tokens" / ".a.zarr.zip.k2j3.tmp", SAFE_SECONDS + 1)
    put(folder.results / "tokens" / ".b.zarr.zip.x1y2.tmp", SAFE_SECONDS - 1)
    put(folder.results / "tokens" / ".hidden", 9 * SAFE_SECONDS)
    put(folder.results / "tokens" / "named.tmp", 9 * SAFE_SECONDS)
    leftovers = found(folder)
    assert {path: entry.removable for path, entry in leftovers.items()} == {
        "tokens/.a.zarr.zip.k2j3.tmp": True,
        "tokens/.b.zarr.zip.x1y2.tmp": False,
    }
    assert leftovers["tokens/.a.zarr.zip.k2j3.tmp"].bytes == 4


def test_the_state_of_a_training_that_goes_on_is_none(folder):
    """Its card is not there yet, and the config asks for it."""
    resume(folder, "key", "encoders/dino/card.json", ENCODER)
    (folder.results / "encoders/dino/card.json").unlink()
    assert found(folder) == {}


def test_the_state_of_a_finished_training_may_go(folder):
    """The process was killed between the card and the end."""
    resume(folder, "old", "encoders/dino/card.json", ENCODER)
    resume(folder, "young", "encoders/dino/card.json", ENCODER, age=60)
    removable = {path: entry.removable for path, entry in found(folder).items()}
    assert removable == {"resume/encoder/old": True, "resume/encoder/young": False}


def test_the_state_of_other_settings_stays(folder):
    """The change may be taken back, and another config may share the folder."""
    resume(folder, "changed", "encoders/dino/card.json", node("encoder"))
    resume(folder, "elsewhere", "encoders/other/card.json", ENCODER)
    put(folder.results / "resume" / "encoder" / "nameless" / "state.pt", 9 * SAFE_SECONDS)
    leftovers = found(folder)
    assert len(leftovers) == 3
    assert not any(leftover.removable for leftover in leftovers.values())
    assert "not named" in leftovers["resume/encoder/nameless"].what


def test_a_state_is_wanted_by_the_settings_of_now(folder):
    """A card of other settings does not make it useless."""
    resume(folder, "key", "encoders/dino/card.json", {**ENCODER, "version": 2})
    folder.planned = [
        replace(job, node={**ENCODER, "version": 2}) if job.stage == "encoder" else job
        for job in folder.planned
    ]
    assert found(folder) == {}


def test_what_a_repair_took_away_is_listed(folder):
    """Its owner decides."""
    put(folder.results / "damaged" / "2026-01-01" / "encoders" / "a.bin", 9 * SAFE_SECONDS)
    (leftover,) = found(folder).values()
    assert (leftover.removable, leftover.bytes) == (False, 4)
