"""The command line."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tessera import cli
from tessera.cli import main
from tessera.config import lock, sources
from tessera.config.load import load
from tessera.config.published import read_record
from tessera.config.resolve import settings_text
from tessera.config.schema import Config, stages

EXAMPLE = Path(__file__).parents[1] / "workflow" / "config.yaml"


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A folder with a config and its images; the command runs in it."""
    (tmp_path / "config.yaml").write_text(EXAMPLE.read_text())
    (tmp_path / "images" / "round").mkdir(parents=True)
    (tmp_path / "images" / "round" / "1.png").touch()
    monkeypatch.chdir(tmp_path)
    sources.fingerprint.cache_clear()
    return tmp_path


@pytest.fixture
def own_lock(tmp_path, monkeypatch) -> Path:
    """A copy of the lock, with every stage accepted."""
    path = tmp_path / "stages.lock.json"
    path.write_text(lock.LOCK.read_text())
    monkeypatch.setattr(lock, "LOCK", path)
    assert main(["lock", "--accept", "all"]) == 0
    return path


def test_settings_are_what_a_rule_passes_on(checkout, capsys):
    """The canonical JSON of a variant."""
    assert main(["settings", "stage1", "cond"]) == 0
    expected = settings_text(load(["config.yaml"]), "stage1", "cond")
    assert capsys.readouterr().out == expected + "\n"


def test_settings_of_one_entry_and_of_an_export(checkout, capsys):
    """`--each` for lists that make jobs, `--stage` for stages without variants."""
    assert main(["settings", "evaluations", "digits", "--each", "vq"]) == 0
    assert json.loads(capsys.readouterr().out)["stage"] == "evaluation"
    assert main(["settings", "samplings", "vq", "--stage", "samples"]) == 0
    assert json.loads(capsys.readouterr().out)["stage"] == "samples"


def test_settings_of_a_swept_variant_are_those_of_a_point(checkout, capsys):
    """The name in the file stands for several: some of them are told."""
    (checkout / "a.yaml").write_text("samplings: {vq: {sweep: {seed: [1, 2, 3, 4, 5, 6, 7]}}}\n")
    assert main(["settings", "samplings", "vq", "--configfile", "a.yaml"]) == 1
    assert (
        "'vq' in samplings is swept: name one of its points: vq_seed_1, vq_seed_2, vq_seed_3, "
        "vq_seed_4, vq_seed_5 and 2 more"
    ) in capsys.readouterr().err
    assert main(["settings", "samplings", "vq_seed_7", "--configfile", "a.yaml"]) == 0


def test_config_files_are_laid_over_config_yaml(checkout, capsys):
    """In their order, as Snakemake does."""
    (checkout / "a.yaml").write_text("codebooks: {k8: {clusters: 5, iterations: 3}}\n")
    (checkout / "b.yaml").write_text("codebooks: {k8: {clusters: 6}}\n")
    files = ["--configfile", "a.yaml", "b.yaml"]
    assert main(["settings", "codebooks", "k8", *files]) == 0
    settings = json.loads(capsys.readouterr().out)["settings"]
    assert settings == {"kind": "fitted", "clusters": 6, "iterations": 3, "seed": 4}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["settings", "stage3", "cond"], "'stage3' is no section: choose one of data, encoders"),
        (["settings", "stage1", "cnd"], "'cnd' is not in stage1: choose one of cond, shapes"),
        (["settings", "evaluations", "digits"], "give --each with one of cond_ar, vq"),
        (["settings", "probes", "linear", "--each", "vq"], "one of uncond, wide"),
        (["settings", "stage1", "cond", "--each", "vq"], "--each is for evaluations, neighbours"),
        (["settings", "stage1", "cond", "--stage", "stage1"], "--stage is for "),
        (["check", "--configfile", "absent.yaml"], "config file absent.yaml does not exist"),
        (["lock", "--accept", "stage9"], "'stage9' is no stage: choose of shards"),
        (["lock", "--accept", "all", "--bump", "stage1"], "stage1 is both accepted and bumped"),
    ],
)
def test_a_mistake_is_one_sentence(checkout, capsys, words, sentence):
    """On stderr, with status 1 and without a traceback."""
    assert main(words) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert sentence in printed.err
    assert printed.err.count("\n") == 1


def test_check_says_what_a_config_holds(checkout, capsys):
    """Section by section."""
    assert main(["check"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "config.yaml: valid"
    assert "  stage1: cond, uncond, wide, vq, shapes" in out


def test_check_names_the_files_that_make_up_the_config(checkout, capsys):
    """A file may be based on others, and config.yaml may be none of them."""
    (checkout / "whole.yaml").write_text(f"base: null\n{EXAMPLE.read_text()}")
    (checkout / "mine.yaml").write_text("base: whole.yaml\ntitle: mine\n")
    (checkout / "more.yaml").write_text("title: more\n")
    assert main(["check", "--configfile", "mine.yaml", "more.yaml"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "whole.yaml + mine.yaml + more.yaml: valid"


def test_check_lists_all_files_that_are_wrong(checkout, capsys):
    """Absent, of another digest, changed after the import: a line each, and what is right none."""
    overlay = {
        "data": {"shapes": {"path": "nowhere"}, "tars": {"kind": "webdataset", "train": "*.tar"}},
        "encoders": {"eye": {"kind": "timm", "model": "vit", "weights": "eye.pth"}},
        "codebooks": {
            "km": {"kind": "published", "path": "km", "encoder": "eye"},
            "there": {"kind": "published", "path": "there", "encoder": "eye"},
            "changed": {"kind": "published", "path": "changed", "encoder": "eye"},
        },
        "extractors": {"net": {"kind": "inception", "weights": "net.pth", "sha256": "0" * 8}},
        "evaluations": {"adm": {"extractor": "net", "statistics": "s.npz", "samplings": ["vq"]}},
    }
    (checkout / "mine.yaml").write_text(json.dumps(overlay))
    (checkout / "net.pth").write_bytes(b"net")
    for name, content in (("there", b"centroids"), ("changed", b"others")):
        (checkout / name).mkdir()
        (checkout / name / "centroids.npy").write_bytes(content)
        files = {"centroids.npy": hashlib.sha256(b"centroids").hexdigest()}
        record = {"section": "codebooks", "files": files, "source": {}, "facts": {}}
        (checkout / name / "published.json").write_text(json.dumps(record))
    read_record.cache_clear()
    assert main(["check", "--configfile", "mine.yaml"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    expected = [
        "error: config: data.shapes: the image folder nowhere does not exist: link your images",
        "error: config: data.tars: no file matches *.tar: correct the pattern",
        "error: config: encoders.eye: the file eye.pth does not exist: download it",
        "error: config: codebooks.km: no imported weights lie in km: run `tessera import",
        "error: config: codebooks.changed: changed/centroids.npy is absent or not what",
        "error: config: extractors.net: the file net.pth has the SHA-256",
        "error: config: evaluations.adm: the file s.npz does not exist",
    ]
    for line, begin in zip(printed.err.splitlines(), expected, strict=True):
        assert line.startswith(begin)


def test_check_looks_for_the_image_folders(checkout, capsys):
    """A missing folder is found before the workflow runs."""
    (checkout / "images" / "round" / "1.png").unlink()
    (checkout / "images" / "round").rmdir()
    (checkout / "images").rmdir()
    assert main(["check"]) == 1
    assert "the image folder images does not exist" in capsys.readouterr().err


def test_without_a_config_the_command_says_so(tmp_path, monkeypatch, capsys):
    """It was called in another folder."""
    monkeypatch.chdir(tmp_path)
    assert main(["check"]) == 1
    assert "config.yaml is not in this folder: change to the checkout" in capsys.readouterr().err


def test_where_names_what_is_there_and_what_is_not(checkout, capsys):
    """For the end of a run."""
    (checkout / "results" / "samplings" / "vq").mkdir(parents=True)
    (checkout / "results" / "samplings" / "vq" / "grid.png").write_bytes(b"")
    assert main(["where"]) == 0
    out = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "report results/report.html (not made yet)" in out
    assert "page results/index.html (not made yet)" in out
    assert "Samples: vq results/samplings/vq/grid.png" in out


def test_the_schema_is_that_of_the_config(capsys):
    """For editors."""
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(Config.model_json_schema()))


def test_lock_shows_and_records(own_lock, capsys):
    """Nothing moved; bumped, a stage has another version; a moved one is named with status 1."""
    assert main(["lock"]) == 0
    assert main(["lock", "--bump", "probe"]) == 0
    locked = json.loads(own_lock.read_text())
    assert "probe: version " in capsys.readouterr().out
    assert set(locked) == set(stages())
    locked["codebook"]["fingerprint"] = "another"
    own_lock.write_text(json.dumps(locked))
    assert main(["lock"]) == 1
    out = capsys.readouterr().out
    assert "codebook: its fingerprint differs" in out
    assert "tessera lock --accept codebook" in out
    assert main(["lock", "--accept", "codebook"]) == 0
    assert main(["lock"]) == 0


def test_a_stage_runs_with_its_own_arguments(monkeypatch):
    """All words after its name pass through, `--help` too."""
    seen = []

    class Stage:
        @staticmethod
        def main(argv):
            seen.append(list(argv))
            return 7

    monkeypatch.setattr(cli.importlib, "import_module", lambda name: seen.append(name) or Stage)
    assert main(["codebook", "--help", "--card", "x"]) == 7
    assert seen == ["tessera.stages.codebook", ["--help", "--card", "x"]]


def test_a_stages_mistake_is_one_sentence(checkout):
    """The stage itself prints it."""
    words = ["shards", "--settings", "{}", "--card", "c.json", "--shards", "1", "1"]
    result = subprocess.run(
        [sys.executable, "-m", "tessera.cli", *words, "--index", "i.json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=EXAMPLE.parents[2],
        env={"PYTHONPATH": str(EXAMPLE.parents[2] / "src"), "PATH": "/usr/bin:/bin"},
    )
    assert result.returncode == 1
    assert "--settings is not the JSON of a variant" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("words", [["--help"], ["nonsense"], []])
def test_usage_errors_are_argparses(words, capsys):
    """Status 0 for help, 2 for what is no command; the stages are listed."""
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == (0 if words == ["--help"] else 2)
    printed = capsys.readouterr()
    assert "usage: tessera" in printed.out + printed.err
