"""`tessera explain`: which jobs would run, and why."""

import os

import pytest
from tests.workflow.edits import both, config, delete, put, setting
from tests.workflow.expected import DIGITS, PAPER, SHAPES, TOY, below

from tessera.cli import main
from tessera.config import guard

pytestmark = [pytest.mark.workflow, pytest.mark.filterwarnings("default")]

ALL = len(below(DIGITS, SHAPES, TOY) | PAPER)


@pytest.fixture
def explain(finished, capfd, monkeypatch):
    """A function that runs the command in the finished workflow and gives what it prints."""
    monkeypatch.delenv(guard.VARIABLE, raising=False)

    def run(*words: str) -> str:
        assert main(["explain", *words]) == 0
        return capfd.readouterr().out

    return run


def test_what_is_up_to_date_needs_no_explanation(explain):
    """Snakemake, which is asked, says nothing itself, and sets no guard."""
    assert explain() == f"Nothing would run: {ALL} jobs up to date.\n"
    assert guard.VARIABLE not in os.environ


def test_causes_come_first_and_what_follows_from_them(explain, finished):
    """The whole text, of a changed setting, a missing file and a job that follows both."""
    edit = both(
        setting("stage1.shapes.training.learning_rate", 2e-3),
        delete("results/samplings/vq/samples.npz"),
    )
    edit(finished.folder)
    assert explain() == (
        f"10 of {ALL} jobs would run.\n"
        "\n"
        "stage1.shapes.training.learning_rate: 0.001 → 0.002\n"
        "    stage1/shapes\n"
        "\n"
        "results/samplings/vq/samples.npz is missing\n"
        "    samples/vq\n"
        "\n"
        "because of these, 8 jobs below:\n"
        "    sampling/shapes (2 parts)  after stage1/shapes\n"
        "    samples/shapes             after sampling/shapes\n"
        "    evaluation/digits/vq       after samples/vq\n"
        "    evaluation/shapes/shapes   after samples/shapes\n"
        "    tables                     after stage1/shapes and 5 more\n"
        "    figures                    after stage1/shapes and 5 more\n"
        "    index                      after stage1/shapes and 7 more\n"
    )


@pytest.mark.parametrize(
    ("target", "jobs"),
    [
        ("stage1.wide", "5 of 8"),
        ("stage1/wide", "5 of 8"),
        ("results/stage1/wide/model.json", "5 of 8"),
        ("codebook", "1 of 5"),
        ("codebooks.k8", "0 of 4"),
        ("tokens/semantic_16/train", "3 of 6"),
        ("tables", f"8 of {ALL - 2}"),
    ],
)
def test_a_target_is_a_variant_a_job_a_file_or_a_rule(explain, finished, target, jobs):
    """It is explained with all that it needs, and nothing else is."""
    setting("codebooks.k16.clusters", 15)(finished.folder)
    setting("codebooks.k8.label", "A name")(finished.folder)
    said = explain(target)
    if jobs.startswith("0"):
        assert said == f"Nothing would run: {jobs[5:]} jobs up to date.\n"
    else:
        assert said.startswith(f"{jobs} jobs would run.\n")


def test_config_files_lie_over_each_other(explain, finished):
    """As for all commands."""
    over = finished.folder / "over.yaml"
    over.write_text("codebooks: {k16: {clusters: 12}}\n")
    assert "codebooks.k16.clusters: 16 → 12\n    codebook/k16\n" in explain(
        "--configfile", str(over)
    )


def test_parts_that_are_missing_are_counted(explain, finished):
    """One of two."""
    delete("results/tokens/codes/train/part-0001-of-0002.zarr.zip")(finished.folder)
    config(put("stage1.vq.training.seed", 3))(finished.folder)
    said = explain("stage1.vq")
    assert "part-0001-of-0002.zarr.zip is missing\n    tokens/codes/train (part 1 of 2)\n" in said
    assert "stage1.vq.training.seed: 0 → 3\n    stage1/vq" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nonsense"], "nonsense: no file, variant or rule of this config is called so"),
        (["--configfile", "absent.yaml"], "the config file absent.yaml does not exist"),
    ],
)
def test_a_wrong_question_ends_in_one_sentence(finished, capfd, words, sentence):
    """And with status 1."""
    assert main(["explain", *words]) == 1
    said = capfd.readouterr()
    assert sentence in said.err
    assert "Traceback" not in said.err


def test_outside_of_a_checkout_it_says_where_to_go(tmp_path, monkeypatch, finished, capfd):
    """The rules are read from there."""
    text = finished.config.read_text()
    (tmp_path / "config.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").symlink_to(finished.folder / "images")
    assert main(["explain"]) == 1
    assert "Snakefile is not in this folder: change to the checkout" in capfd.readouterr().err
