"""Published rows are those of the papers, and what is wrong with a row is noticed."""

import csv
import hashlib
from collections import Counter
from pathlib import Path

import pytest

from tessera.report.published import SHA256, count, published, read

HEADER = (
    "table,type,method,params,tokens,features,epochs,fid,is,top1,guidance,source,reference,"
    "reference_source"
)
GOOD = "conditional,AR,VAR,310M,,,200,3.60,257.5,,cfg,arXiv 2410.12490,,"
REFERENCE_ROWS = Path(__file__).parents[4] / "shared" / "reference" / "published-results.csv"


def test_every_row_is_that_of_the_reference_value_for_value(repo):
    """The copy in the package against the file that it was copied from."""
    if not REFERENCE_ROWS.is_file():
        pytest.skip("the reference file of published results is not on this machine")
    with REFERENCE_ROWS.open() as file:
        wanted = list(csv.DictReader(file))
    with (repo / "src" / "tessera" / "report" / "published.csv").open() as file:
        found = list(csv.DictReader(file))
    keys = [key for key in wanted[0] if key != "source"]
    assert [[row[key] for key in keys] for row in found] == [
        [row[key] for key in keys] for row in wanted
    ]
    papers = {
        "000_e8d02a0b1720cd99.txt": "arXiv 2410.12490",
        "004_75f3c1d01a1a7420.txt": "arXiv 2406.11838",
        "003_57d78cbae9c6d14a.txt": "arXiv 2410.01756",
    }
    assert [row["source"] for row in found] == [papers[row["source"]] for row in wanted]


def test_a_changed_row_changes_the_source_too(repo):
    """The digest in the source is that of the file, so no changed number goes unnoticed."""
    content = (repo / "src" / "tessera" / "report" / "published.csv").read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHA256


def test_the_numbers_of_known_rows():
    """DiGIT's own, as its paper prints them."""
    rows = [row for row in published("unconditional") if row.method.startswith("DiGIT")]
    assert [
        (row.method, row.parameters, row.epochs, row.fid, row.inception_score) for row in rows
    ] == [
        ("DiGIT (+MaskGIT)", 219_000_000, 200, 9.04, 75.04),
        ("DiGIT (+VQGAN)", 219_000_000, 400, 9.13, 73.85),
        ("DiGIT (+VQGAN)", 732_000_000, 200, 4.59, 141.29),
    ]
    probed = {(row.method, row.features): row.top1 for row in published("linear_probe")}
    assert probed["DiGIT", 1024] == 71.7
    assert probed["DiGIT", 1536] == 80.3


def test_what_fids_are_measured_against():
    """DiGIT and MAGE: validation images; ADM, VAR and others: ADM's statistics; else unknown."""
    tables = ("unconditional", "conditional")
    rows = [row for table in tables for row in published(table)]
    known = {}
    for row in rows:
        known.setdefault(row.reference, set()).add(row.method.split(" (")[0])
    assert known["imagenet-validation"] == {"DiGIT", "MAGE"}
    assert known["adm-statistics"] == {
        "ADM", "VAR", "DiT-XL/2", "MAR-B", "MAR-L", "MAR-H", "ImageFolder",
    }  # fmt: skip
    assert {"BigGAN", "LDM", "VQGAN", "MaskGIT"} <= known[None]
    counted = Counter(row.reference for row in rows if row.method.startswith("DiGIT"))
    assert counted == {"imagenet-validation": 6}


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("1362M", 1_362_000_000),
        ("7B", 7_000_000_000),
        ("0.6B", 600_000_000),
        ("13.5B", 135 * 10**8),
    ],
)
def test_counts_of_parameters(text, parameters):
    """As papers write them."""
    assert count(text) == parameters


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("310M", "310"), "no count such as 219M"),
        (("AR,VAR", "ar,VAR"), "type"),
        (("3.60", "-1"), "fid"),
        (("3.60", "nan"), "fid"),
        (("3.60", ""), "has not the numbers of that table"),
        (("cfg", "9"), "guidance"),
        (("conditional", "somewhere"), "table"),
        (("2410.12490,,", "2410.12490,adm-statistics,"), "come together"),
        (("arXiv 2410.12490", "000_e8.txt"), "source"),
    ],
)
def test_a_wrong_row_is_refused(change, said):
    """With the line that it is in."""
    assert len(read([HEADER, GOOD])) == 1
    with pytest.raises(ValueError, match=f"(?s)line 3 of the published results.*{said}"):
        read([HEADER, GOOD, GOOD.replace(*change)])


def test_an_unknown_column_is_refused():
    """A number that nobody reads would be thought to be shown."""
    with pytest.raises(ValueError, match="line 2"):
        read([f"{HEADER},rfid", f"{GOOD},1.0"])
