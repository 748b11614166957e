"""Damaged results are found before they are used, and made again alone."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow

PARTS = [f"tokens/semantic/train/part-000{part}-of-0002" for part in range(2)]
VALIDATION = "tokens/semantic/validation/part-0000-of-0001"


def flip(file: Path) -> None:
    """Changes one bit in the middle."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def truncate(file: Path) -> None:
    """Cuts off the end."""
    file.write_bytes(file.read_bytes()[:-7])


def nothing_to_do(workflow) -> bool:
    """Whether a dry run finds all results up to date."""
    return "Nothing to be done" in workflow.run("-n")


def test_damaged_parts_are_made_again_alone(finished, undisturbed):
    """A flipped bit, a file cut off, one gone: no training that read them runs, now or later."""
    first, second, third = (finished.results / f"{name}.zarr.zip" for name in (*PARTS, VALIDATION))
    flip(first)
    truncate(second)
    third.unlink()
    broken = first.read_bytes()
    found = finished.tessera("verify", status=1)
    assert f"results/{PARTS[0]}.zarr.zip is damaged (its SHA-256 differs)" in found
    assert f"results/{PARTS[1]}.zarr.zip is truncated" in found
    assert f"results/{VALIDATION}.zarr.zip is missing" in found
    assert "3 problems" in found
    said = finished.tessera("repair")
    assert "tokens/semantic/train/0001-of-0002 is whole again" in said
    assert finished.runs == [f"{name}.json" for name in (*PARTS, VALIDATION)]
    assert nothing_to_do(finished)
    assert finished.contents() == undisturbed.contents()
    (kept,) = finished.results.glob(f"damaged/*/{PARTS[0]}.zarr.zip")
    assert kept.read_bytes() == broken  # nothing is deleted
    found = finished.tessera("verify")
    assert " 0 problems" in found
    assert "what a repair took out of the way" in found


def test_many_faults_at_once(finished, undisturbed):
    """Each damaged result is made again, and none between them: parts, cards, a picture."""
    results = finished.results
    for suffix in (".json", ".zarr.zip"):
        (results / f"{PARTS[1]}{suffix}").unlink()  # nothing is left that tells of it but its users
    (results / "samplings/cond/grid.png").unlink()
    flip(results / "neighbours/digits/cond.png")
    truncate(results / "encoders/dino/card.json")
    truncate(results / "evaluations/digits/cond.json")
    said = finished.tessera("repair")
    assert said.count("is whole again") == 5
    assert finished.runs == [
        "encoders/dino/card.json",
        "evaluations/digits/cond.json",
        "neighbours/digits/cond.json",
        "samplings/cond/card.json",
        f"{PARTS[1]}.json",
    ]
    assert nothing_to_do(finished)
    assert finished.contents() == undisturbed.contents()


def test_a_result_that_comes_out_otherwise(finished):
    """It is said, and what stands below it runs again: it is made of something else now."""
    (finished.results / f"{PARTS[1]}.zarr.zip").unlink()
    said = finished.tessera("repair", STUB_SALT=f"results/{PARTS[1]}.json")
    assert "tokens/semantic/train/0001-of-0002 did not come out as before" in said
    assert finished.runs == [f"{PARTS[1]}.json"]
    finished.run()
    assert {"stage1/cond/card.json", "stage2/ar/card.json"} < set(finished.runs)
    assert not {"codebooks/k8/card.json", "autoencoders/vqgan/card.json"} & set(finished.runs)


def test_a_repair_that_fails_can_be_repeated(finished, undisturbed):
    """Snakemake deletes what a failed job was to make: what it was is on record."""
    flip(finished.results / f"{PARTS[1]}.zarr.zip")
    said = finished.tessera("repair", status=1, STUB_FAIL=f"results/{PARTS[1]}.json")
    assert "was not made again" in said
    finished.tessera("repair")
    assert finished.runs == [f"{PARTS[1]}.json"] * 2
    assert nothing_to_do(finished)
    assert finished.contents() == undisturbed.contents()


@pytest.mark.parametrize("damaged", ["card.json", "model.json"])
def test_whole_files_of_a_damaged_result_are_kept(finished, damaged):
    """Snakemake deletes them before the job runs, and the job may fail."""
    folder = finished.results / "stage1" / "cond"
    weights = (folder / "model.safetensors").read_bytes()
    truncate(folder / damaged)
    finished.tessera("repair", status=1, STUB_FAIL="results/stage1/cond/card.json")
    assert not (folder / "model.safetensors").exists()
    (kept,) = (finished.results / "damaged").glob("*/stage1/cond/model.safetensors")
    assert kept.read_bytes() == weights


def test_no_run_beside_a_repair(finished, tmp_path):
    """Files are moved only where nothing writes."""
    card, go = "results/evaluations/digits/cond.json", tmp_path / "go"
    (finished.folder / card).unlink()
    run = finished.start(STUB_HOLD=f"{card}:{go}")
    run.until(lambda: bool(finished.runs))
    assert "another run works in" in finished.tessera("repair", status=1)
    go.touch()
    run.wait()
