"""The parts that Snakemake parses in every job are light, and the environments agree."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

LIGHT = (
    "tessera.cli",
    "tessera.plan.arrays",
    "tessera.plan.demand",
    "tessera.plan.table",
    "tessera.config.load",
    "tessera.config.resolve",
    "tessera.config.guard",
    "tessera.config.jobs",
    "tessera.config.lineage",
    "tessera.config.schema",
    "tessera.config.paths",
    "tessera.decisions",
    "tessera.fingerprint",
    "tessera.integrity.rebuild",
    "tessera.integrity.survey",
    "tessera.io.cards",
    "tessera.report.outputs",
    "tessera.report.pictures.catalogue",
    "tessera.report.query",
    "tessera.report.terminal",
    "tessera.reruns.causes",
    "tessera.reruns.graph",
    "tessera.reruns.launch",
    "tessera.reruns.words",
    "tessera.running",
)
HEAVY = {
    "torch",
    "torchvision",
    "timm",
    "sklearn",
    "scipy",
    "matplotlib",
    "faiss",
    "zarr",
    "pyarrow",
}


def imported(repo: Path, statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after a statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(repo / "src"), "PATH": ""},
    )
    return set(result.stdout.split())


def test_what_the_snakefile_imports_is_light(repo):
    """Every cluster job parses the Snakefile again, and torch alone takes seconds."""
    assert not imported(repo, f"import {', '.join(LIGHT)}") & HEAVY


def test_the_snakefile_imports_nothing_else(repo):
    """A new import in a rule file belongs to the list above."""
    used = set()
    for path in [repo / "Snakefile", *(repo / "rules").glob("*.smk")]:
        for line in path.read_text().splitlines():
            words = line.split()
            if words[:1] in (["from"], ["import"]) and words[1].startswith("tessera"):
                used |= {f"tessera.{words[1].removeprefix('tessera.')}"} - {"tessera.tessera"}
    modules = {
        name
        for name in used
        if (repo / "src" / Path(*name.split("."))).with_suffix(".py").is_file()
    }
    light = {*LIGHT, "tessera.errors", "tessera.config.canonical"}
    assert modules <= light


def test_the_command_asks_for_help_without_torch(repo):
    """`tessera --help` answers at once."""
    statement = "import tessera.cli\ntry: tessera.cli.main(['--help'])\nexcept SystemExit: pass"
    assert not imported(repo, statement) & HEAVY


@pytest.fixture(scope="module")
def project(repo) -> dict:
    """The project's own description."""
    return tomllib.loads((repo / "pyproject.toml").read_text())


def normal(requirement: str) -> str:
    """`torch-fidelity>=0.4,<0.5` → `torch-fidelity`."""
    name = requirement
    for mark in "[<>=!~; ":
        name = name.partition(mark)[0]
    return name.lower().replace("_", "-")


def locked(repo: Path) -> dict[str, str]:
    """Package → version of the lock."""
    pairs = (
        line.split(";")[0].split("\\")[0].strip().split("==")
        for line in (repo / "requirements.lock").read_text().splitlines()
        if "==" in line and not line.startswith((" ", "#"))
    )
    return {normal(name): version for name, version in pairs}


def test_every_dependency_is_locked(repo, project):
    """With one version each, and with hashes."""
    pinned = locked(repo)
    wanted = project["project"]["dependencies"]
    wanted = wanted + project["project"]["optional-dependencies"]["dev"]
    assert {normal(requirement) for requirement in wanted} <= set(pinned)
    assert "--hash=sha256:" in (repo / "requirements.lock").read_text()


def test_locked_versions_are_allowed(repo, project):
    """The lock is no older than the project's description."""
    from packaging.requirements import Requirement

    pinned = locked(repo)
    for text in project["project"]["dependencies"]:
        requirement = Requirement(text)
        version = pinned[normal(requirement.name)]
        assert requirement.specifier.contains(version, prereleases=True), (text, version)


def test_the_conda_environment_has_the_same_dependencies(repo, project):
    """`--sdm conda` installs what the project asks for."""
    environment = yaml.safe_load((repo / "envs" / "tessera.yaml").read_text())
    python, *rest = environment["dependencies"]
    assert project["project"]["requires-python"] == f">={python.removeprefix('python=')}"
    (pip,) = (entry["pip"] for entry in rest if isinstance(entry, dict))
    assert pip == project["project"]["dependencies"]


def test_snakemakes_version_is_the_same_everywhere(repo, project):
    """The Snakefile asks for what the project depends on."""
    (wanted,) = (r for r in project["project"]["dependencies"] if r.startswith("snakemake"))
    assert 'min_version("9.27")' in (repo / "Snakefile").read_text()
    assert ">=9.27" in wanted
