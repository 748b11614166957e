"""Feature points for K-Means."""

from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tessera.data.points import choose_places, place_keys, read_points
from tessera.data.spans import spans
from tessera.errors import UserError
from tessera.io.parts import write_part

WIDTH = 4
RNG = np.random.default_rng(0)
PLACES = RNG.permutation(10_000)[:400].astype(np.int64)
FEATURES = RNG.standard_normal((400, WIDTH)).astype(np.float16)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    """Chunks of 10 points and spans of 3 chunks."""
    monkeypatch.setattr("tessera.io.parts.CHUNK_BYTES", 10 * 2 * WIDTH)
    monkeypatch.setattr("tessera.data.points.spans", partial(spans, size=3 * 10 * 2 * WIDTH))


def write(folder: Path, *cuts: int) -> list[Path]:
    """The points in parts, cut at these rows."""
    files = []
    bounds = [0, *cuts, len(PLACES)]
    for i, (start, stop) in enumerate(pairwise(bounds)):
        files.append(folder / f"part-{i}.zarr.zip")
        arrays = {"features": FEATURES[start:stop], "place": PLACES[start:stop]}
        write_part(files[-1], arrays, {"width": WIDTH})
    return files


def mixed(place: int, seed: int) -> int:
    """SplitMix64 in Python's whole numbers."""

    def mix(bits: int) -> int:
        bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB % 2**64
        return bits ^ (bits >> 31)

    return mix((mix(seed * 0x9E3779B97F4A7C15 % 2**64) + place * 0x9E3779B97F4A7C15) % 2**64)


def test_keys_are_splitmix64():
    """The published sequence, which begins so for the seed 0, and any other place and seed."""
    # https://prng.di.unimi.it/splitmix64.c, whose first number is that of the counter 1.
    assert [int(key) for key in place_keys(np.array([1, 2, 3]), 0)] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]
    places = np.array([0, 7, 2**40 + 1], np.int64)
    for seed in (1, 1234, 2**63):
        expected = [mixed(int(place), seed) for place in places]
        assert [int(key) for key in place_keys(places, seed)] == expected


@pytest.mark.parametrize("cuts", [(), (1, 233, 234, 399)])
@pytest.mark.parametrize("count", [1, 137, 5000, None])
def test_a_sample_is_the_same_however_the_points_are_cut(tmp_path, count, cuts):
    """Against the sort of all keys; in the order of the places."""
    parts = write(tmp_path, *cuts)
    places = choose_places(parts, count, seed=5)
    expected = sorted(sorted(PLACES.tolist(), key=lambda place: mixed(place, 5))[:count])
    assert places.tolist() == expected
    points = read_points(parts, places, 5, WIDTH, at_once=2)
    row = {int(place): row for row, place in enumerate(PLACES)}
    assert points.dtype == np.float32
    assert np.array_equal(points, FEATURES[[row[place] for place in expected]].astype(np.float32))


def test_another_seed_is_another_sample(tmp_path):
    """And each is spread over all places: its mean is theirs within four deviations."""
    parts = write(tmp_path)
    one, other = (choose_places(parts, 120, seed) for seed in (1, 2))
    common = len(np.intersect1d(one, other))
    assert 16 < common < 56  # 36 by chance, +- 4.2
    for places in (one, other):
        deviation = PLACES.std() * np.sqrt((1 - 120 / 400) / 120)
        assert abs(places.mean() - PLACES.mean()) < 4 * deviation


def test_a_part_given_twice(tmp_path):
    """Also where only a sample of it is read."""
    parts = write(tmp_path, 200)
    for count in (None, 300):
        with pytest.raises(UserError, match="hold some points twice"):
            choose_places([*parts, parts[0]], count, seed=0)


def test_no_points(tmp_path):
    """The caller says what that means."""
    write_part(
        tmp_path / "part.zarr.zip",
        {"features": FEATURES[:0], "place": PLACES[:0]},
        {"width": WIDTH},
    )
    parts = [tmp_path / "part.zarr.zip"]
    places = choose_places(parts, None, seed=0)
    assert len(places) == 0
    assert read_points(parts, places, 0, WIDTH, at_once=1).shape == (0, WIDTH)
