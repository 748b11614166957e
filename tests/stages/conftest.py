"""One tiny pipeline for all tests of the stages, run stage by stage without Snakemake."""

import contextlib
import importlib
import io
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from tessera.config.canonical import sha256_json
from tessera.config.load import validate
from tessera.config.resolve import settings_text
from tessera.config.schema import STAGE_OF
from tessera.io.files import sha256_file
from tessera.io.shapes import part_shapes

HERE = Path(__file__).parent
RAW = yaml.safe_load((HERE / "config.yaml").read_text())
SPLIT = ("features", "tokens", "samplings")
WRAPPING = {"samples": "samplings", "usage": "tokens"}
"""Stages that make no variant of their own, and the section of those that they read."""


def draw_images(folder: Path) -> None:
    """16 images a class for training and 4 for validation: a disc, a square, stripes on noise."""
    rows, columns = np.mgrid[:36, :36]
    for label, name in enumerate(("disc", "square", "stripes")):
        for number in range(20):
            draw = np.random.default_rng([label, number])
            y, x, radius = draw.integers(12, 24), draw.integers(12, 24), draw.integers(5, 11)
            shape = (
                (rows - y) ** 2 + (columns - x) ** 2 < radius**2,
                np.maximum(abs(rows - y), abs(columns - x)) < radius,
                (rows + y) // radius % 2 == 0,
            )[label]
            pixels = draw.integers(0, 60, (36, 36, 3))
            pixels[shape] += draw.integers(60, 195, 3)
            file = folder / ("train" if number < 16 else "validation") / name / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(file)


@dataclass(frozen=True)
class Outcome:
    """How a stage ended: its exit status and what it wrote to the terminal."""

    status: int
    text: str

    @property
    def error(self) -> str:
        """The one sentence of a user's mistake."""
        assert self.status == 1, self.text
        assert "Traceback" not in self.text
        lines = [line for line in self.text.splitlines() if "] error: " in line]
        assert len(lines) == 1, self.text
        assert self.text.splitlines()[-1] == lines[0]
        return lines[0].partition("] error: ")[2]


class Pipeline:
    """Runs the stages of a config.

    Attributes:
        root: folder of the images; its `results` holds the inputs of all stages.
        raw: the config as plain maps.
    """

    def __init__(self, root: Path, raw: dict[str, Any]) -> None:
        self.root, self.raw = root, raw
        self.config = validate(raw)
        self.results = root / "results"

    def changed(self, values: dict[str, Any]) -> "Pipeline":
        """The same folder with some settings changed: `{"stage1.cond.norm": "pre"}`."""
        raw = deepcopy(self.raw)
        for path, value in values.items():
            *parents, last = path.split(".")
            place = raw
            for key in parents:
                place = place.setdefault(key, {})
            place[last] = value
        return Pipeline(self.root, raw)

    def settings(self, section: str, name: str, each: str | None = None) -> str:
        """The canonical JSON of a variant; those of `samples` and `usage` wrap a variant's."""
        if section in WRAPPING:
            return settings_text(self.config, WRAPPING[section], name, stage=section)
        return settings_text(self.config, section, name, each)

    def card(self, section: str, name: str, out: Path | None = None, **which: Any) -> Path:
        """The card of a variant, or of one part of it, below `out`."""
        folder = (out or self.results) / {"samples": "samplings"}.get(section, section) / name
        if section in SPLIT:
            folder = folder / which.get("split", "train") if section == "tokens" else folder
            return folder / f"part-{which.get('part', 0):04d}-of-{which.get('parts', 1):04d}.json"
        each = which.get("each")
        return folder / (f"{each}.json" if each else "card.json")

    def inputs(self, section: str, name: str, split: str, each: str | None) -> dict[str, Any]:
        """Flag → what a stage reads: cards and files."""
        card = self.card
        variant = getattr(self.config, WRAPPING.get(section, section))[name]
        shards = card("data", "shapes")
        tokenizers = [card("codebooks", "k8"), card("encoders", "vit")]
        if section in ("encoders", "autoencoders", "extractors"):
            return {"shards": shards}
        if section == "features":
            return {"shards": shards, "encoder": tokenizers[1]}
        if section == "codebooks":
            return {"features": [card("features", variant.features)]}
        if section == "tokens":
            vqgan = [card("autoencoders", "vqgan")]
            return {
                "shards": shards,
                "tokenizer": tokenizers if variant.codebook else vqgan,
                "split": split,
            }
        if section == "usage":
            return {"tokens": [card("tokens", name)]}
        if section == "projections":
            return {}
        if section == "patches":
            return {
                "shards": shards,
                "tokens": [card("tokens", variant.tokens, split=variant.split)],
            }
        if section in ("stage1", "probes"):
            stage1 = variant if section == "stage1" else self.config.stage1[each]
            found = {
                "tokens": [card("tokens", stage1.tokens)],
                "validation": [card("tokens", stage1.tokens, split="validation")],
            }
            return found | ({"model": card("stage1", each)} if section == "probes" else {})
        if section == "stage2":
            return {
                f"{flag}{name}": [card("tokens", getattr(variant, name), split=split)]
                for flag, split in (("", "train"), ("validation-", "validation"))
                for name in ("semantic", "codes")
            }
        if section == "samplings":
            models = [card("stage1", variant.stage1), card("autoencoders", "vqgan")]
            return {"models": models + ([card("stage2", variant.stage2)] if variant.stage2 else [])}
        if section == "samples":
            return {"parts": [card("samplings", name)]}
        if section == "evaluations":
            # The references of an evaluation are given by the test where they are no images.
            shown = {} if variant.views is None else {"shards": shards}
            return {
                "samples": card("samples", each),
                "extractor": card("extractors", "cnn"),
            } | shown
        if section == "neighbours":
            extractor = card("extractors", variant.extractor)
            return {"samples": card("samples", each), "shards": shards, "extractor": extractor}
        if section == "reconstructions":
            autoencoder = card("autoencoders", variant.autoencoder)
            extractor = card("extractors", variant.extractor)
            return {"shards": shards, "autoencoder": autoencoder, "extractor": extractor}
        return {"shards": shards, "tokenizers": [*tokenizers, card("autoencoders", "vqgan")]}

    def command(
        self,
        section: str,
        name: str,
        out: Path | None = None,
        *,
        each: str | None = None,
        split: str = "train",
        part: int = 0,
        parts: Any = 1,
        **flags: Any,
    ) -> tuple[str, list[str]]:
        """A stage and its arguments; `flags` replace or add single ones."""
        stage = section if section in WRAPPING else STAGE_OF[section]
        card = self.card(section, name, out, each=each, split=split, part=part, parts=parts)
        values: dict[str, Any] = {"settings": self.settings(section, name, each), "card": card}
        if section == "data":
            values["index"] = card.parent / "index.json"
            if count := getattr(self.config.data[name], "shards", None):
                values["shards"] = [count.train, count.validation]
        else:
            values |= self.inputs(section, name, split, each)
        if section in SPLIT:
            values |= {"part": part, "parts": parts}
        elif parts != 1:
            values["parts"] = parts  # cards, to the stage that joins them
        values |= {flag.replace("_", "-"): value for flag, value in flags.items()}
        argv = []
        for flag, value in values.items():
            argv += [f"--{flag}", *map(str, value if isinstance(value, list) else [value])]
        return stage, argv

    def call(self, section: str, name: str, out: Path | None = None, **options: Any) -> Outcome:
        """Runs a stage in this process."""
        stage, argv = self.command(section, name, out, **options)
        main = importlib.import_module(f"tessera.stages.{stage}").main
        root, text = logging.getLogger(), io.StringIO()
        handlers, level = root.handlers[:], root.level
        try:
            with contextlib.redirect_stderr(text):
                status = main(argv)
        finally:
            # What a process would take with it at its end.
            torch.use_deterministic_algorithms(False)
            root.handlers[:] = handlers
            root.setLevel(level)
        return Outcome(status, text.getvalue())

    def run(self, section: str, name: str, out: Path | None = None, **options: Any) -> dict:
        """Runs a stage that must succeed; returns its card."""
        outcome = self.call(section, name, out, **options)
        assert outcome.status == 0, outcome.text
        which = {k: v for k, v in options.items() if k in ("each", "split", "part", "parts")}
        return json.loads(self.card(section, name, out, **which).read_text())

    def read(self, section: str, name: str, out: Path | None = None, **which: Any) -> dict:
        """A card that was written before."""
        return json.loads(self.card(section, name, out, **which).read_text())

    def copy(self, section: str, name: str, out: Path, **which: Any) -> Path:
        """Copies a variant's folder below `out`, to be damaged there; returns its card."""
        card = self.card(section, name, out, **which)
        shutil.copytree(self.card(section, name, **which).parent, card.parent)
        return card

    @staticmethod
    def stamp(card: Path) -> Path:
        """Makes a card vouch for its files as they are, as if its stage had written them so."""
        content = json.loads(card.read_text())
        for name, entry in content["outputs"].items():
            file = card.parent / name
            entry |= {"sha256": sha256_file(file), "bytes": file.stat().st_size}
            if "arrays" in entry:
                entry["arrays"] = part_shapes(file)
        made = {name: entry["sha256"] for name, entry in content["outputs"].items()}
        content["digest"] = sha256_json({"outputs": made, "results": content["results"]})
        card.write_text(json.dumps(content))
        return card


def run_all(pipeline: Pipeline) -> None:
    """Runs every stage once, in the order in which the data goes."""
    run = pipeline.run
    run("data", "shapes")
    run("encoders", "vit", log_every=4)
    run("features", "vit")
    run("codebooks", "k8")
    run("autoencoders", "vqgan", log_every=4)
    for tokens in ("semantic", "codes", "other"):
        for split in ("train", "validation"):
            run("tokens", tokens, split=split)
    for tokens in ("semantic", "codes"):
        run("usage", tokens)
    for section in ("stage1", "stage2"):
        for name in getattr(pipeline.config, section):
            run(section, name, log_every=4)
    for name in pipeline.config.samplings:
        run("samplings", name)
        run("samples", name)
    run("extractors", "cnn", log_every=4)
    run("evaluations", "shapes", each="cond_ar")
    run("neighbours", "shapes", each="cond_ar")
    run("reconstructions", "vqgan")
    run("probes", "linear", each="uncond")
    run("stabilities", "noise")
    run("projections", "toy")
    run("patches", "semantic")


class Processes:
    """Stages as processes that can be killed; see launcher.py."""

    def __init__(self) -> None:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self._parent = subprocess.Popen(
            [sys.executable, HERE / "launcher.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | threads | {"PYTHONPATH": str(HERE.parents[1] / "src")},
        )

    def start(
        self,
        command: tuple[str, list[str]],
        log: Path,
        die_at: int | None = None,
        environment: dict[str, str] | None = None,
    ) -> int:
        """Starts a stage and returns the number of its process."""
        stage, argv = command
        question = {"stage": stage, "argv": argv, "log": str(log), "die_at": die_at}
        return self._ask(question | {"environment": environment or {}})

    def wait(self, number: int) -> int:
        """Waits for a process; returns its status, negative for the signal that ended it."""
        return self._ask({"wait": number})

    def close(self) -> None:
        """Ends the parent."""
        with self._parent as parent:
            assert parent.stdin
            parent.stdin.close()

    def _ask(self, question: dict[str, Any]) -> int:
        assert self._parent.stdin
        assert self._parent.stdout
        self._parent.stdin.write(json.dumps(question) + "\n")
        self._parent.stdin.flush()
        return int(self._parent.stdout.readline())


@pytest.fixture(scope="session")
def processes() -> Iterator[Processes]:
    """Starts stages as processes that a test may kill."""
    started = Processes()
    yield started
    started.close()


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """The pipeline whose stages have all run once; tests write elsewhere."""
    root = tmp_path_factory.mktemp("pipeline")
    draw_images(root / "images")
    raw = deepcopy(RAW)
    raw["data"]["shapes"]["path"] = str(root / "images")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made = Pipeline(root, raw)
    run_all(made)
    torch.set_num_threads(threads)
    return made
