"""The table of nearest training images."""

import csv
import io

from tessera.report.outputs import category, table_names
from tessera.report.pictures.catalogue import pictures
from tessera.report.render import RENDER
from tessera.report.tables.neighbours import neighbours
from tessera.report.tables.tidy import results


def test_a_row_a_sample_set(fake_run):
    """With its own numbers in full, and the label where people read."""
    fake_run.neighbours()
    table = neighbours(fake_run.collection())
    first, second = csv.DictReader(io.StringIO(RENDER["csv"](table)))
    assert (first["variant"], second["variant"]) == ("cond_ar", "vq")
    assert (first["search"], first["distance"]) == ("training", "Euclidean (cnn)")
    assert (first["median_samples"], first["median_unseen"]) == ("1.25", "1.125")
    assert (first["near"], first["near_distance"]) == ("0.03125", "0.75")
    assert (first["copies"], first["copies_unseen"]) == ("2", "0")
    assert first["card"] == "neighbours/training/cond_ar.json"
    text = RENDER["md"](table)
    assert "50 % noise_1 & more" in text
    assert " 3.1 |" in text  # percent


def test_another_distance_has_another_name(fake_run):
    """Numbers of the two are not comparable."""
    fake_run.neighbours(metric="cosine")
    assert neighbours(fake_run.collection()).rows[0]["distance"] == "Cosine (cnn)"


def test_no_search_no_table(fake_run):
    """Nothing to show is nothing made."""
    fake_run.reconstruction()
    assert neighbours(fake_run.collection()) is None
    config = fake_run.config.model_copy(update={"neighbours": {}})
    assert "neighbours" not in table_names(config)


def test_pictures_are_announced(fake_run):
    """The workflow knows their files before the jobs run."""
    found = [one for one in pictures(fake_run.config) if one.section == "neighbours"]
    assert [one.file for one in found] == [
        "neighbours/training/cond_ar.png",
        "neighbours/training/vq.png",
    ]
    assert category("picture", "neighbours") == "Samples"


def test_all_numbers_have_them(fake_run):
    """Under names of their own; what the picture shows is no number of its own."""
    fake_run.neighbours()
    table = results(fake_run.collection())
    found = {row["metric"]: row["value"] for row in table.rows if "cond_ar" in row["variant"]}
    assert found["samples p50"] == 1.25
    assert found["validation p50"] == 1.125
    assert found["near share"] == 0.03125
    assert found["samples copies"] == 2
    assert not [metric for metric in found if "shown" in metric]
