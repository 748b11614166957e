"""A disk that is full, for real: a small file system of its own."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
EVERY = {"log_every": 4, "checkpoint_every": 3}


class Disk:
    """A file system in memory.

    Attributes:
        folder: where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resize(self, kilobytes: int) -> None:
        """Makes the disk larger or smaller."""
        self._mount(f"remount,size={kilobytes}k")

    def _mount(self, options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path) -> Iterator[Disk]:
    """A disk of 16 MB, or a skip where nobody lets the tests mount one."""
    made = Disk(tmp_path / "disk")
    made.folder.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("there is no mount here, and so no small disk")
    try:
        made._mount("size=16m")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"mounting a small disk is not allowed: {error.stderr.decode().strip()}")
    yield made
    subprocess.run(["umount", str(made.folder)], check=True)


STAGES = [
    ("data", "shapes", 32, {}),
    ("features", "vit", 8, {}),
    ("tokens", "codes", 8, {}),
    ("codebooks", "k8", 4, {}),
    ("samplings", "cond_ar", 64, {}),
    ("samples", "cond_ar", 60, {}),
    ("stabilities", "noise", 4, {}),
    ("projections", "toy", 12, {}),
    ("patches", "semantic", 32, {}),
    ("stage1", "cond", 140, EVERY),
    ("autoencoders", "vqgan", 400, EVERY),
]


@pytest.mark.parametrize(("section", "name", "kilobytes", "flags"), STAGES)
def test_a_full_disk(pipeline, disk, section, name, kilobytes, flags):
    """One sentence, nothing that looks like a result; with room the job ends as undisturbed."""
    disk.resize(kilobytes)
    outcome = pipeline.call(section, name, disk.folder / "out", **flags)
    assert "no space is left on the disk" in outcome.error
    card = pipeline.card(section, name, disk.folder / "out")
    assert not card.exists()
    assert not [path for path in disk.folder.rglob(".*") if path.is_file()]
    for path in card.parent.rglob("*"):  # what has its name is whole
        whole = pipeline.card(section, name).parent / path.relative_to(card.parent)
        assert path.read_bytes() == whole.read_bytes()
    disk.resize(16_000)
    made = pipeline.run(section, name, disk.folder / "out", **flags)
    assert made["digest"] == pipeline.read(section, name)["digest"]
