"""Which jobs make damaged results again, in which order, and from when they then seem to be."""

from dataclasses import replace
from pathlib import Path

from tessera.integrity.checks import check_cards
from tessera.integrity.inventory import find_cards, read_stored
from tessera.integrity.rebuild import Rebuild, depth, join, levels, plan_rebuilds, put_back_times

from .conftest import CODEBOOK, ENCODER, FEATURES, PART, SHARDS


def plan(folder, planned=None):
    cards = find_cards(folder.results)
    problems = check_cards(cards, lambda size: None)
    return plan_rebuilds(problems, cards, folder.planned if planned is None else planned)


def test_depth_counts_stages():
    """Views, which no stage makes, do not count."""
    assert [depth(node) for node in (SHARDS, ENCODER, FEATURES, CODEBOOK)] == [1, 2, 3, 4]


def test_a_damaged_file_is_its_jobs(folder):
    """With what its card tells of the result."""
    file = folder.results / "encoders" / "dino" / "card.bin"
    file.unlink()
    (rebuild,), left = plan(folder)
    assert left == []
    assert (rebuild.job.card, rebuild.damaged) == (str(file.with_suffix(".json")), (file,))
    assert rebuild.digest == folder.digest("encoders/dino/card.json")
    assert (rebuild.modified, rebuild.seconds) == (1_000_001 * 10**9, 2.5)


def test_results_of_nobody_and_of_other_settings_are_left(folder):
    """The config's jobs alone are run."""
    for name in ("encoders/dino", "codebooks/k8"):
        (folder.results / name / "card.bin").unlink()
    planned = [
        replace(job, node={**job.node, "version": 2}) if job.stage == "codebook" else job
        for job in folder.planned
        if job.stage != "encoder"
    ]
    rebuilds, left = plan(folder, planned)
    assert rebuilds == []
    assert "codebooks/k8/card.json is of other settings" in left[0]
    assert "no job of this config makes" in left[1]
    assert "encoders/dino/card.json" in left[1]


def test_steps_go_with_the_data(folder):
    """Parts of one set together, each after what it is made of."""
    for stored in find_cards(folder.results):
        next(iter(stored.outputs)).unlink()
    rebuilds, _ = plan(folder)
    steps = [[rebuild.job.stage for rebuild in step] for step in levels(rebuilds)]
    assert steps == [["shards"], ["encoder"], ["features", "features"], ["codebook"]]


def test_the_earlier_record_counts(folder):
    """Of a job that an earlier repair owes, its card is new by now."""
    job, other = folder.planned[:2]
    owed = Rebuild(job, (Path("a"),), "old", 5, 1.0)
    found = [Rebuild(job, (Path("b"), Path("a")), None, None, None)]
    found.append(Rebuild(other, (), "x", 7, 2.0))
    assert join([owed], found) == [Rebuild(job, (Path("a"), Path("b")), "old", 5, 1.0), found[1]]


def times(folder, name) -> set[int]:
    card = folder.results / name
    return {path.stat().st_mtime_ns // 10**9 for path in (card, card.with_suffix(".bin"))}


def settle(folder, name, digest, modified):
    """What becomes of a result that was written just now."""
    card = folder.results / name
    job = next(job for job in folder.planned if job.card == str(card))
    for path in (card, card.with_suffix(".bin")):
        path.touch()
    rebuild = Rebuild(job, (), digest, modified, None)
    return put_back_times(rebuild, read_stored(card), find_cards(folder.results))


def test_times_are_put_back(folder):
    """Those of the old card."""
    name = PART.format(0)
    assert settle(folder, name, folder.digest(name), 1_000_002 * 10**9)
    assert times(folder, name) == {1_000_002}


def test_times_follow_from_the_users(folder):
    """Where the card was lost: not younger than the first that was made of the result."""
    name = "encoders/dino/card.json"
    assert settle(folder, name, None, None)
    assert times(folder, name) == {1_000_002}


def test_a_card_that_was_touched_does_not_mislead(folder):
    """Whatever damaged it may have changed its time too."""
    name = PART.format(0)
    assert settle(folder, name, folder.digest(name), 2_000_000 * 10**9)
    assert times(folder, name) == {1_000_004}


def test_another_result_stays_new(folder):
    """What was made of it has to be made again."""
    name = PART.format(0)
    assert settle(folder, name, "another", 5) is False
    assert min(times(folder, name)) > 1_000_004
    (folder.results / "codebooks/k8/card.json").write_text(
        (folder.results / "codebooks/k8/card.json").read_text().replace(folder.digest(name), "x")
    )
    assert settle(folder, name, None, None) is False


def test_a_result_that_nothing_was_made_of(folder):
    """Nobody can tell whether it is the former one, and nobody needs to."""
    assert settle(folder, "codebooks/k8/card.json", None, None) is None
