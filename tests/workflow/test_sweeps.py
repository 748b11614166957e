"""Sweeps in the workflow: a new point runs alone, with what stands below it."""

from pathlib import Path

import pytest
import yaml
from tests.workflow.conftest import HERE, list_paper_files
from tests.workflow.expected import PAPER, jobs_of

pytestmark = [pytest.mark.workflow, pytest.mark.filterwarnings("default")]

KEPT = ("results", "execution", "data", "views", "encoders", "features")


RAW = yaml.safe_load((HERE / "config.yaml").read_text())


def write(config: Path, clusters: list[int], seeds: list[int]) -> None:
    """A model for each number of clusters and each seed of its training, and their probes."""
    model = {name: RAW["stage1"]["cond"][name] for name in ("model", "training")}
    model |= {"tokens": "semantic", "class_conditional": False}
    made = {section: RAW[section] for section in KEPT} | {
        "codebooks": {"k16": RAW["codebooks"]["k16"] | {"sweep": {"clusters": clusters}}},
        "tokens": {"semantic": {"views": "digits", "codebook": "k16"}},
        "stage1": {"free": model | {"sweep": {"training.seed": seeds}}},
        "probes": {"linear": {"stage1": ["free"]}},
    }
    config.write_text(yaml.safe_dump(made, sort_keys=False))


@pytest.mark.slow
def test_a_new_point_runs_alone(fresh, monkeypatch):
    """At the bottom its training, at the top all that stands on it; nothing of the others."""
    monkeypatch.chdir(fresh.folder)
    write(fresh.config, [8, 16], [0, 1])
    list_paper_files(fresh.folder)
    done = fresh.run()
    assert done.returncode == 0, done.stdout
    assert fresh.jobs() == set()

    write(fresh.config, [8, 16], [0, 1, 2])
    names = [f"free_clusters_{clusters}_seed_2" for clusters in (8, 16)]
    trained = {f"stage1/{name}" for name in names} | {f"probe/linear/{name}" for name in names}
    assert fresh.jobs() == trained | PAPER

    write(fresh.config, [8, 16, 32], [0, 1])
    names = [f"free_clusters_32_seed_{seed}" for seed in (0, 1)]
    trained = {f"stage1/{name}" for name in names} | {f"probe/linear/{name}" for name in names}
    tokens = "semantic_clusters_32"
    own = {"codebook/k16_clusters_32", f"usage/{tokens}"} | jobs_of(f"tokens/{tokens}")
    assert fresh.jobs() == trained | own | PAPER

    write(fresh.config, [16, 8], [1, 0])
    assert fresh.jobs() <= PAPER  # which show them in another order
