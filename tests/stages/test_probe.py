"""Linear probes: views, other token sets, memory, and what a stop leaves."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from tests.probing import fit_probes

from tessera.data.tokens import load_tokens
from tessera.io.parts import read_part, write_part
from tessera.stages.loading import load_gpt

LINEAR = ("probes", "linear")


@pytest.fixture(scope="module")
def long(pipeline):
    """A probe of many updates, so that there is time to stop it."""
    return pipeline.changed({"probes.linear.steps": 3000})


def probe(pipeline, out: Path, **flags) -> dict:
    """The card of a probe of the unconditional model."""
    return pipeline.run(*LINEAR, out, each="uncond", **flags)


def test_the_states_of_either_path(pipeline, tmp_path):
    """Kept in memory or made anew for each update: equal accuracies, and the run says which."""
    kept = pipeline.read(*LINEAR, each="uncond")
    anew = probe(pipeline, tmp_path / "anew", keep_mb=0, batch=5)
    assert (kept["run"]["states_kept"], anew["run"]["states_kept"]) == (True, False)
    assert anew["results"] == kept["results"]


def test_one_view_equals_features_in_memory(pipeline, tmp_path):
    """Of an image's only view: the same as probing the features of that view directly."""
    settings = {"views.one": {"data": "shapes", "crop": 32, "flip": True}}
    settings |= {"tokens.one": {"views": "one", "codebook": "k8"}}
    settings |= {"probes.linear.tokens": "one", "probes.linear.steps": 60}
    one = pipeline.changed(settings)
    cards = {}
    for split in ("train", "validation"):
        one.run("tokens", "one", tmp_path, split=split)
        cards[split] = one.card("tokens", "one", tmp_path, split=split)
    flags = {"tokens": cards["train"], "validation": cards["validation"]}
    found = probe(one, tmp_path / "out", **flags)["results"]
    sets = [load_tokens([card.with_suffix(".zarr.zip")]) for card in cards.values()]
    model = load_gpt(one.card("stage1", "uncond").parent, "cpu")
    features = [model.hidden_states(each.codes[:, 0].long()) for each in sets]
    expected = fit_probes(
        features[0], sets[0].labels, features[1], sets[1].labels, len(sets[0].classes), 60, batch=8
    )
    assert [layer["top1"] for layer in found["layers"]] == expected.accuracy
    assert len(expected.accuracy) == model.config.layers + 1


def class_coded(pipeline, folder: Path, split: str, *views: bool) -> Path:
    """The card of tokens of which some views are the class itself, the others zero."""
    card = pipeline.copy("tokens", "semantic", folder, split=split)
    file = card.with_suffix(".zarr.zip")
    arrays, attributes = read_part(file)
    file.unlink()
    marked = np.array(views)[None, :, None] * arrays["label"][:, None, None]
    codes = np.broadcast_to(marked, (*marked.shape[:2], arrays["codes"].shape[2]))
    write_part(file, arrays | {"codes": codes.astype(np.uint16)}, attributes)
    return pipeline.stamp(card)


@pytest.mark.parametrize("views", [(False, True), (True, False), (False, False)])
def test_all_views_are_drawn(pipeline, tmp_path, views):
    """Where any view shows the class it is found; where none does, one class is guessed for all."""
    flags = {
        "tokens": class_coded(pipeline, tmp_path, "train", *views),
        "validation": class_coded(pipeline, tmp_path, "validation", True),
    }
    longer = pipeline.changed({"probes.linear.steps": 300})
    found = probe(longer, tmp_path / "out", **flags)["results"]
    assert (found["top1"] == 1) == any(views)


def test_tokens_of_another_set(pipeline, tmp_path):
    """The model's own tokens are not those that the probe names."""
    changed = pipeline.changed({"probes.linear.tokens": "other"})
    error = changed.call(*LINEAR, tmp_path, each="uncond").error
    assert "of another token set than the settings name" in error
    assert not list(tmp_path.rglob("*.json"))


def test_tokens_of_another_tokenizer(pipeline, tmp_path):
    """Codes of the VQGAN mean nothing to a model of semantic tokens."""
    node = json.loads(pipeline.settings(*LINEAR, "uncond"))
    node["inputs"]["tokens"] = json.loads(pipeline.settings("tokens", "codes"))
    flags = {"tokens": pipeline.card("tokens", "codes"), "settings": json.dumps(node)}
    flags["validation"] = pipeline.card("tokens", "codes", split="validation")
    assert (
        "tokens of another tokenizer"
        in pipeline.call(*LINEAR, tmp_path, each="uncond", **flags).error
    )


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_stopped_and_run_again(long, processes, tmp_path, sign):
    """After a kill or a scheduler's SIGTERM it goes on, and ends as if undisturbed."""
    whole = probe(long, tmp_path / "whole")
    out = tmp_path / "stopped"
    out.mkdir()
    log = out / "log.txt"
    number = processes.start(long.command(*LINEAR, out, each="uncond", checkpoint_every=20), log)
    deadline = time.monotonic() + 60
    while not list(out.glob("resume/probe/*/state.pt")):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.001)
    os.kill(number, sign)
    status = processes.wait(number)
    card = long.card(*LINEAR, out, each="uncond")
    assert not card.exists()
    assert status == (-sign if sign == signal.SIGKILL else 1), log.read_text()
    if sign == signal.SIGTERM:
        assert log.read_text().splitlines()[-1].endswith("run again to go on from there")
    again = probe(long, out)
    assert 20 <= again["run"]["resumed_at"] < 3000
    assert whole["run"]["resumed_at"] == 0
    assert (again["digest"], again["results"]) == (whole["digest"], whole["results"])
    assert not list(out.glob("resume/*/*"))
