"""`tessera results`: the numbers of a finished run in the terminal."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest

from tessera.cli import main

EXAMPLE = Path(__file__).parents[1] / "workflow" / "config.yaml"
TABLE = """\
stage,variant,metric,value,unit,card,base,samplings.semantic.top_k
evaluation,digits/ar_top_k_10,FD (cnn),2.123456789,1,evaluations/digits/ar_top_k_10.json,ar,10
evaluation,digits/ar_top_k_5,FD (cnn),0.5,1,evaluations/digits/ar_top_k_5.json,ar,5
evaluation,digits/vq,FD (cnn),0.75,1,evaluations/digits/vq.json,,
stage1,gpt,validation loss,1.25,nat/token,stage1/gpt/card.json,,
"""


@pytest.fixture
def finished(tmp_path, monkeypatch) -> Path:
    """A folder with a config and the table of its results; the command runs in it."""
    (tmp_path / "config.yaml").write_text(EXAMPLE.read_text())
    (tmp_path / "results" / "tables").mkdir(parents=True)
    (tmp_path / "results" / "tables" / "results.csv").write_text(TABLE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_all_numbers(finished, capsys):
    """Every row below the headings; how many there are is no part of what a pipe gets."""
    assert main(["results"]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].split() == [
        "stage", "variant", "metric", "value", "unit", "base", "top_k"
    ]  # fmt: skip
    assert len(lines) == 5
    assert "2.12346" in lines[1]
    assert printed.err == "4 of 4 rows of results/tables/results.csv\n"


def test_filters_add_up(finished, capsys):
    """All must fit, given at once or one by one; columns and order as asked for."""
    words = ["results", "--filter", "stage=evaluation", "variant=digits/ar*", "--filter", "value<9"]
    more = ["--columns", "top_k", "value", "--sort", "top_k"]
    assert main(words + more) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["top_k", "value"],
        ["5", "0.5"],
        ["10", "2.12346"],
    ]
    assert main([*words, *more, "--reverse"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["10", "2.12346"]


def test_empty_columns_are_left_out(finished, capsys):
    """And so is the path of the card, unless it is asked for."""
    assert main(["results", "--filter", "stage=stage1"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == [
        "stage", "variant", "metric", "value", "unit"
    ]  # fmt: skip
    assert main(["results", "--filter", "stage=stage1", "--columns", "card"]) == 0
    assert capsys.readouterr().out.splitlines() == ["card", "stage1/gpt/card.json"]


def test_csv_is_the_table_itself(finished, capsys):
    """All columns and digits; with filters, the rows that fit."""
    assert main(["results", "--csv"]) == 0
    assert capsys.readouterr().out == TABLE
    assert main(["results", "--csv", "--filter", "metric~loss", "--columns", "value", "unit"]) == 0
    assert capsys.readouterr().out == "value,unit\n1.25,nat/token\n"


def test_a_terminal_is_not_overrun(finished, monkeypatch, capsys):
    """Lines as wide as it is: first names are shortened, then columns left out, which it says."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["results", "--columns", "variant", "metric", "value", "card"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) == 60
    assert "…" in lines[1]
    monkeypatch.setenv("COLUMNS", "50")
    assert main(["results", "--filter", "variant=digits/*"]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert max(map(len, lines)) <= 50
    assert lines[0].split() == ["variant", "metric", "value", "unit", "base", "top_k"]
    assert printed.err.splitlines()[1] == "too narrow for stage: --columns shows what it names"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [[], ["--csv"]])
def test_a_full_disk_is_one_sentence(finished, words):
    """What cannot be written is no traceback, not even when Python ends."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tessera.cli", "results", *words],
            cwd=finished, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "error: the numbers cannot be written to where the output goes (No space left on device): "
        "make room there, or send them elsewhere\n"
    )


def test_another_config_has_other_results(finished, capsys):
    """`--configfile` says whose."""
    (finished / "mine.yaml").write_text("results: elsewhere\n")
    assert main(["results", "--configfile", "mine.yaml"]) == 1
    assert capsys.readouterr().err == (
        "error: elsewhere/tables/results.csv is not there yet: run `snakemake` first, with the "
        "same --configfile\n"
    )
    (finished / "results").rename(finished / "elsewhere")
    assert main(["results", "--configfile", "mine.yaml", "--csv"]) == 0
    assert len(list(csv.reader(io.StringIO(capsys.readouterr().out)))) == 5


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--filter", "variant"], "'variant' is no filter"),
        (["--filter", "varian=x"], "did you mean 'variant'?"),
        (["--columns", "val"], "--columns: 'val' is no column: did you mean 'value'?"),
        (["--sort", "valeu"], "--sort: 'valeu' is no column: did you mean 'value'?"),
        (["--reverse"], "--reverse is for --sort"),
        (["--filter", "value<0"], "none of the 4 rows of results/tables/results.csv fits"),
    ],
)
def test_a_mistake_is_one_sentence(finished, capsys, words, sentence):
    """On stderr, with status 1."""
    assert main(["results", *words]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert sentence in printed.err
    assert printed.err.count("\n") == 1
