"""Pictures of a training in TensorBoard: what they show, and that the training does not notice."""

import io
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tessera.data.images import ShardIndex
from tessera.data.tokens import load_tokens
from tessera.io.codebooks import read_codebook
from tessera.launch import free_port
from tessera.report.pictures.token_maps import centroid_colours
from tessera.sampling.autoregressive import sample_autoregressive
from tessera.sampling.masked import noise_shape, sample_masked
from tessera.sampling.noise import uniforms
from tessera.stages import training_pictures
from tessera.stages.loading import load_decoder, load_gpt, load_vqgan

pytestmark = pytest.mark.slow
EVERY = {"log_every": 4, "checkpoint_every": 3, "pictures_every": 5}
TRAININGS = {
    "autoencoder": ("autoencoders", "vqgan"),
    "stage1_semantic": ("stage1", "cond"),
    "stage1_averaged": ("stage1", "uncond"),
    "stage1_codes": ("stage1", "vq"),
    "stage2_autoregressive": ("stage2", "ar"),
    "stage2_masked": ("stage2", "nar"),
}
SIDE, GAP = 64, 2
"""Images of 32 pixels and maps of 4 tokens are enlarged to this many pixels, with white between."""


def tokenizer(pipeline, section: str, name: str) -> dict[str, Path]:
    """The flag that the rule gives: the card of the tokenizer of what the model draws."""
    if section == "autoencoders":
        return {}
    semantic = section == "stage1" and name != "vq"
    return {
        "tokenizer": pipeline.card(
            *(("codebooks", "k8") if semantic else ("autoencoders", "vqgan"))
        )
    }


def run(pipeline, training, out: Path, **options) -> Path:
    """Trains with pictures; returns the card."""
    pipeline.run(*training, out, **EVERY | tokenizer(pipeline, *training) | options)
    return pipeline.card(*training, out)


def pictures(out: Path) -> dict[str, dict[int, np.ndarray]]:
    """Name → update → picture, as TensorBoard shows it."""
    (folder,) = {file.parent for file in out.glob("tensorboard/*/*/events.out.tfevents.*")}
    read = EventAccumulator(str(folder), size_guidance={"images": 0})
    read.Reload()
    return {
        tag.removeprefix("pictures/"): {
            event.step: np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))
            for event in read.Images(tag)
        }
        for tag in read.Tags()["images"]
    }


def tiles(picture: np.ndarray) -> np.ndarray:
    """The images of a picture, uint8 [rows, columns, side, side, 3]."""
    rows, columns = ((size + GAP) // (SIDE + GAP) for size in picture.shape[:2])
    whole = np.full((rows * (SIDE + GAP), columns * (SIDE + GAP), 3), 255, np.uint8)
    whole[:-GAP, :-GAP] = picture
    cells = whole.reshape(rows, SIDE + GAP, columns, SIDE + GAP, 3).swapaxes(1, 2)
    return cells[:, :, :SIDE, :SIDE]


def enlarged(image: np.ndarray) -> np.ndarray:
    factor = SIDE // len(image)
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def pixels(images: torch.Tensor) -> list[np.ndarray]:
    """What is shown of images [n, 3, H, W] about [0, 1]."""
    cut = (images * 255).clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    return [enlarged(image) for image in cut]


def validation(pipeline, name: str):
    """The tokens of the validation images that are shown: all 12, since there are fewer than 16."""
    return load_tokens([pipeline.card("tokens", name, split="validation").with_suffix(".zarr.zip")])


@pytest.mark.parametrize("training", TRAININGS.values(), ids=TRAININGS)
def test_a_training_does_not_notice(pipeline, tmp_path, training):
    """Equal weights, logs and digest with pictures at every fifth update and with none."""
    without = {"log_every": 4, "pictures_every": 0}
    pipeline.run(*training, tmp_path / "without", **without)
    first = pipeline.card(*training, tmp_path / "without")
    second = run(pipeline, training, tmp_path / "with")
    for name in ("model.safetensors", "metrics.jsonl"):
        assert (second.parent / name).read_bytes() == (first.parent / name).read_bytes()
    contents = [pipeline.read(*training, tmp_path / out) for out in ("without", "with")]
    assert contents[0]["digest"] == contents[1]["digest"]
    assert contents[0]["inputs"] == contents[1]["inputs"]
    assert not pictures(tmp_path / "without")
    (shown,) = pictures(tmp_path / "with").values()
    last = contents[0]["results"]["steps"]
    assert list(shown) == [*range(5, last, 5), last]
    assert not np.array_equal(shown[5], shown[last])  # the model has learnt in between


def test_a_training_does_not_notice_what_fails(pipeline, tmp_path, monkeypatch):
    """Equal weights, and a line in the log for each picture."""

    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(training_pictures, "paint", fail)
    flags = EVERY | tokenizer(pipeline, "stage1", "vq")
    outcome = pipeline.call("stage1", "vq", tmp_path, **flags)
    assert outcome.status == 0, outcome.text
    assert outcome.text.count("TensorBoard gets no pictures: after update") == 5
    found, expected = pipeline.card("stage1", "vq", tmp_path), pipeline.card("stage1", "vq")
    contents = [(card.parent / "model.safetensors").read_bytes() for card in (found, expected)]
    assert contents[0] == contents[1]
    assert not pictures(tmp_path)


def test_an_autoencoder_shows_reconstructions(pipeline, tmp_path):
    """Validation images, below each what the saved model makes of it."""
    card = run(pipeline, ("autoencoders", "vqgan"), tmp_path)
    rows = tiles(pictures(tmp_path)["originals_above_reconstructions"][16])
    index = ShardIndex(pipeline.card("data", "shapes").parent / "index.json")
    images = torch.from_numpy(index.load("validation", pipeline.config.views["pairs"]).pixels[:, 0])
    model = load_vqgan(card.parent, "cpu")
    with torch.inference_mode():
        made = model.decode_codes(model.quantize(model.encode(images.float() / 255)))
    above, below = pixels(images / 255 + 1e-4), pixels(made)
    for place in range(8):
        assert np.array_equal(rows[0, place], above[place])
        assert np.abs(rows[1, place].astype(int) - below[place]).max() <= 1


def test_a_last_row_that_is_not_full(pipeline, tmp_path):
    """Of 12 images four stand in a second row: white beside them, and theirs below them."""
    card = run(pipeline, ("autoencoders", "vqgan"), tmp_path)
    rows = tiles(pictures(tmp_path)["originals_above_reconstructions"][16])
    assert rows.shape[:2] == (4, 8)
    index = ShardIndex(pipeline.card("data", "shapes").parent / "index.json")
    images = torch.from_numpy(index.load("validation", pipeline.config.views["pairs"]).pixels[:, 0])
    model = load_vqgan(card.parent, "cpu")
    with torch.inference_mode():
        made = model.decode_codes(model.quantize(model.encode(images.float() / 255)))
    above, below = pixels(images / 255 + 1e-4), pixels(made)
    for place in range(4):
        assert np.array_equal(rows[2, place], above[8 + place])
        assert np.abs(rows[3, place].astype(int) - below[8 + place]).max() <= 1
    assert (rows[2:, 4:] == 255).all()


def test_codes_are_painted_a_row_a_class(pipeline, tmp_path):
    """Four draws of each class by the saved model, of seed 0."""
    card = run(pipeline, ("stage1", "vq"), tmp_path)
    rows = tiles(pictures(tmp_path)["samples_a_row_a_class"][24])
    assert rows.shape[:2] == (3, 4)
    model, vqgan = load_gpt(card.parent, "cpu"), pipeline.card("autoencoders", "vqgan").parent
    noise = uniforms(0, "pictures", range(12), (16,))
    with torch.inference_mode():
        codes = sample_autoregressive(model, noise, torch.arange(3).repeat_interleave(4))
        expected = pixels(load_vqgan(vqgan, "cpu").decode_codes(codes))
    for shown, painted in zip(rows.reshape(12, SIDE, SIDE, 3), expected, strict=True):
        assert np.abs(shown.astype(int) - painted).max() <= 1


@pytest.mark.parametrize("name", ["cond", "uncond"])
def test_semantic_tokens_are_maps(pipeline, tmp_path, name):
    """Those of validation images, below each tokens that the saved model draws for its class."""
    card = run(pipeline, ("stage1", name), tmp_path)
    rows = tiles(pictures(tmp_path)["token_maps_real_above_drawn"][24])
    real = validation(pipeline, "semantic")
    model = load_gpt(card.parent, "cpu")
    drawn = sample_autoregressive(
        model, uniforms(0, "pictures", range(12), (16,)), real.labels if name == "cond" else None
    )
    colours = centroid_colours(
        read_codebook(pipeline.card("codebooks", "k8").parent / "centroids.npy")
    )
    for row, tokens in ((0, real.codes[:, 0]), (1, drawn)):
        for place in range(8):
            expected = colours[tokens[place].long().reshape(4, 4).numpy()]
            assert np.array_equal(rows[row, place], enlarged(expected))


@pytest.mark.parametrize("name", ["ar", "nar"])
def test_stage_2_shows_what_it_draws(pipeline, tmp_path, name):
    """Images painted from their own codes; below, from codes drawn for their semantic tokens."""
    card = run(pipeline, ("stage2", name), tmp_path)
    rows = tiles(pictures(tmp_path)["own_codes_above_drawn"][24])
    codes, semantic = (
        validation(pipeline, tokens).codes[:, 0].long() for tokens in ("codes", "semantic")
    )
    model = load_decoder(card.parent, "cpu")
    if name == "ar":
        drawn = sample_autoregressive(
            model, uniforms(0, "pictures", range(12), (16,)), None, semantic
        )
    else:
        drawn = sample_masked(
            model, uniforms(0, "pictures", range(12), noise_shape(16, 8)), None, semantic
        )
    vqgan = load_vqgan(pipeline.card("autoencoders", "vqgan").parent, "cpu")
    with torch.inference_mode():
        painted = [pixels(vqgan.decode_codes(some)) for some in (codes, drawn)]
    for row in range(2):
        for place in range(8):
            assert np.abs(rows[row, place].astype(int) - painted[row][place]).max() <= 1


def test_a_killed_training_shows_the_same(pipeline, processes, tmp_path):
    """SIGKILL after a checkpoint: in the end TensorBoard has each picture once, as undisturbed."""
    training = ("stage2", "ar")
    run(pipeline, training, tmp_path / "whole")
    out = tmp_path / "killed"
    flags = EVERY | tokenizer(pipeline, *training)
    out.mkdir()
    number = processes.start(pipeline.command(*training, out, **flags), out / "log.txt")
    deadline = time.monotonic() + 60
    while not list(out.glob("resume/*/*/earlier.pt")):
        assert time.monotonic() < deadline, (out / "log.txt").read_text()
        time.sleep(0.001)

    os.kill(number, signal.SIGKILL)
    assert processes.wait(number) == -signal.SIGKILL
    run(pipeline, training, out)
    assert pipeline.read(*training, out)["run"]["resumed_at"] >= 3
    (whole,), (killed,) = (pictures(tmp_path / name).values() for name in ("whole", "killed"))
    # Of two event files of one second TensorBoard may read the later one first.
    assert sorted(killed) == list(whole) == [5, 10, 15, 20, 24]
    for step, picture in whole.items():
        assert np.array_equal(killed[step], picture)


def test_of_two_processes_the_first_shows(pipeline, processes, tmp_path):
    """One event file, with the pictures of one process's training but for rounding."""
    training, out, port = ("stage1", "vq"), tmp_path / "two", free_port()
    flags = EVERY | tokenizer(pipeline, *training)
    command = pipeline.command(*training, out, **flags, micro_batch=4)
    logs = [tmp_path / f"log.{rank}" for rank in range(2)]
    numbers = [
        processes.start(command, logs[rank], environment={
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo",
        })
        for rank in range(2)
    ]  # fmt: skip
    statuses = [processes.wait(number) for number in numbers]
    assert statuses == [0, 0], [log.read_text() for log in logs]
    assert len(list(out.glob("tensorboard/*/*/*"))) == 1
    assert list(pictures(out)["samples_a_row_a_class"]) == [5, 10, 15, 20, 24]
    other = tmp_path / "none"
    for rank in range(2):
        flags = {"log_every": 4, "checkpoint_every": 3, "pictures_every": 0, "micro_batch": 4}
        command = pipeline.command(*training, other, **flags)
        environment = {
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port + 1), "GLOO_SOCKET_IFNAME": "lo",
        }  # fmt: skip
        numbers[rank] = processes.start(command, logs[rank], environment=environment)
    assert [processes.wait(number) for number in numbers] == [0, 0]
    assert pipeline.read(*training, out)["digest"] == pipeline.read(*training, other)["digest"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (None, "no --tokenizer is given"),
        ("absent/card.json", "absent/card.json"),
        ("codebooks", "is not the card of the tokenizer of the drawn codes"),
    ],
)
def test_without_the_tokenizer_there_are_none(pipeline, tmp_path, given, reason):
    """The training goes on as ever, and says once that it shows nothing."""
    flags = {"log_every": 4}
    if given is not None:
        card = pipeline.card("codebooks", "k8") if given == "codebooks" else tmp_path / given
        flags["tokenizer"] = card
    outcome = pipeline.call("stage2", "ar", tmp_path, **flags)
    assert outcome.status == 0, outcome.text
    said = [line for line in outcome.text.splitlines() if "no pictures" in line]
    assert len(said) == 1
    assert reason in said[0]
    assert (
        pipeline.read("stage2", "ar", tmp_path)["digest"] == pipeline.read("stage2", "ar")["digest"]
    )
    assert not pictures(tmp_path)
