"""Jobs that may be one SLURM job array ask for the same."""

from pathlib import Path

from tessera.config.load import load
from tessera.plan import arrays
from tessera.plan.demand import Demand, demand

REPO = Path(__file__).parents[3]


def test_parts_ask_for_the_most_of_any(monkeypatch):
    """Memory and time may be of two different jobs."""
    asked = {
        ("codes", "train"): Demand(700, 40),
        ("codes", "validation"): Demand(700, 10),
        ("semantic", "train"): Demand(900, 20),
        ("semantic", "validation"): Demand(900, 10),
    }

    def each(_, stage, wildcards):
        assert stage == "tokens"
        assert (wildcards["part"], wildcards["parts"]) == ("0000", "0001")
        return asked.pop((wildcards["tokens"], wildcards["split"]))

    monkeypatch.setattr(arrays, "demand", each)
    found = arrays.demand_of_parts(load([REPO / "configs" / "demo.yaml"]), "tokens")
    assert found == Demand(900, 40)
    assert not asked  # every job was asked, once


def test_one_variant_asks_for_its_own():
    config = load([REPO / "config.yaml"])
    wildcards = {"features": "dino", "part": "0000", "parts": "0001"}
    assert arrays.demand_of_parts(config, "features") == demand(config, "features", wildcards)
