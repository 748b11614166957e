"""The command itself: files that are wrong or hostile, options, and the folder it writes."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml

from tessera.cli import main
from tessera.config.load import validate
from tessera.errors import UserError
from tessera.io.files import read_json
from tessera.models.gpt import GPT, GPTConfig
from tessera.models.vqgan import VQGAN, VQGANConfig
from tessera.reference import writing
from tessera.stages.loading import load_decoder, load_gpt, load_vqgan

SMALL_VQGAN = VQGANConfig(
    resolution=16, channels=32, multipliers=(1, 2), residual_blocks=2, codes=6, code_width=3
)


class Hostile:
    """Unpickling it would run a command."""

    def __reduce__(self):
        return os.system, ("touch executed",)


@pytest.mark.parametrize(("prefix", "section"), [(False, "stage1"), (True, "stage2")])
def test_decoders(tmp_path, imported, fairseq, prefix, section) -> None:
    """Sizes from the file, heads from its settings, and queries before keys before values."""
    checkpoint = fairseq("st2vtlm" if prefix else "stlm", prefix)
    torch.save(checkpoint, tmp_path / "checkpoint.pt")
    out = imported(section, tmp_path / "checkpoint.pt")
    model = load_decoder(out, "cpu")
    c = model.config
    assert (c.width, c.layers, c.heads, c.ffn, c.vocabulary) == (8, 2, 2, 12, 10)
    assert (c.classes, c.prefix_vocabulary) == ((0, 6) if prefix else (6, 0))
    theirs = checkpoint["model"]
    qkv = [theirs[f"decoder.layers.1.self_attn.{letter}_proj.weight"] for letter in "qkv"]
    assert torch.equal(model.layers[1].attention.qkv.weight, torch.cat(qkv))


def test_lengths_can_be_said(tmp_path, imported, fairseq) -> None:
    """They are in no file."""
    torch.save(fairseq("st2vtlm", True), tmp_path / "checkpoint.pt")
    options = ("--length", "64", "--prefix-length", "16")
    config = load_decoder(imported("stage2", tmp_path / "checkpoint.pt", *options), "cpu").config
    assert (config.length, config.prefix_length) == (64, 16)


def test_heads(tmp_path, imported, refused, fairseq) -> None:
    """Those of the settings; without them and at an unknown width they are asked for."""
    checkpoint = fairseq()
    torch.save(checkpoint, tmp_path / "a.pt")
    said = refused("stage1", tmp_path / "a.pt", "--heads", "4")
    assert "says that its decoder has 2 attention heads: leave --heads out" in said
    del checkpoint["cfg"]["model"]["decoder_attention_heads"]
    torch.save(checkpoint, tmp_path / "b.pt")
    assert load_gpt(imported("stage1", tmp_path / "b.pt", "--heads", "4"), "cpu").config.heads == 4
    assert "of width 8 has: give --heads" in refused("stage1", tmp_path / "b.pt")
    said = refused("stage1", tmp_path / "b.pt", "--heads", "3")
    assert "b.pt: The decoder's width 8 is not a multiple of its 3 heads" in said


def test_a_decoder_is_what_its_file_says(tmp_path, refused, fairseq) -> None:
    """`--decoder` is for files that do not."""
    torch.save(fairseq("st2vtlm_nar", True), tmp_path / "a.pt")
    said = refused("stage2", tmp_path / "a.pt", "--decoder", "autoregressive")
    assert "says that its decoder is masked (st2vtlm_nar): leave --decoder out" in said


def test_lengths_that_no_table_of_the_file_has(tmp_path, refused, imported, fairseq) -> None:
    """260 rows: one of padding and one that nothing uses, one for the start symbol."""
    torch.save(fairseq(), tmp_path / "a.pt")
    said = refused("stage1", tmp_path / "a.pt", "--length", "258")
    assert "a.pt has positions for 257 codes an image, but --length is 258" in said
    imported("stage1", tmp_path / "a.pt", "--length", "257")


def test_settings_of_older_checkpoints(tmp_path, imported, fairseq) -> None:
    """They are argparse's namespace, under `args`, with `arch` for the name."""
    import argparse

    checkpoint = fairseq(prefix=True)
    del checkpoint["cfg"]
    checkpoint["args"] = argparse.Namespace(arch="st2vtlm_nar", decoder_attention_heads=4)
    torch.save(checkpoint, tmp_path / "old.pt")
    model = load_decoder(imported("stage2", tmp_path / "old.pt"), "cpu")
    assert type(model).__name__ == "MaskGIT"
    assert model.config.heads == 4


def test_a_stage_2_without_settings_needs_its_kind(tmp_path, refused, imported, fairseq) -> None:
    """Autoregressive and masked weights have the same names and shapes."""
    checkpoint = {"model": fairseq(prefix=True)["model"]}
    torch.save(checkpoint, tmp_path / "bare.pt")
    said = refused("stage2", tmp_path / "bare.pt", "--heads", "2")
    assert "give --decoder autoregressive or --decoder masked" in said
    imported("stage2", tmp_path / "bare.pt", "--heads", "2", "--decoder", "masked")


@pytest.mark.parametrize("nested", [True, False])
def test_autoencoder(tmp_path, imported, nested) -> None:
    """`{"state_dict": …}` or plain; what trained it is left out; sizes come from the shapes."""
    torch.manual_seed(0)
    model = VQGAN(SMALL_VQGAN).eval()
    state = model.state_dict() | {"loss.discriminator.main.0.weight": torch.zeros(4, 3, 4, 4)}
    torch.save({"state_dict": state} if nested else state, tmp_path / "vqgan.ckpt")
    out = imported("autoencoder", tmp_path / "vqgan.ckpt", "--resolution", "16")
    found = load_vqgan(out, "cpu")
    assert found.config == SMALL_VQGAN
    images = torch.rand(1, 3, 16, 16)
    assert torch.equal(found.encode(images), model.encode(images))


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ({"quant_conv.weight": (3, 3, 1, 1)}, (), "as taming-transformers has them"),
        ({"encoder.mid.attn_1.q.weight": (64, 64, 1, 1)}, (), "as taming-transformers has them"),
        ({"decoder.more.weight": (3,)}, (), "unexpected: decoder.more.weight"),
        ({"quantize.embedding.weight": None}, (), "holds no quantize.embedding.weight"),
        ({}, ("--resolution", "17"), "resolution 17 is no multiple of 2: check --resolution"),
    ],
)
def test_autoencoders_that_do_not_fit(tmp_path, refused, change, options, said) -> None:
    """Another kind of VQGAN is refused, not read in part."""
    state = VQGAN(SMALL_VQGAN).state_dict()
    for name, shape in change.items():
        if shape is None:
            del state[name]
        else:
            state[name] = torch.ones(shape)
    torch.save(state, tmp_path / "vqgan.ckpt")
    assert said in refused("autoencoder", tmp_path / "vqgan.ckpt", *options)


def test_codebooks(tmp_path, refused) -> None:
    """What is no table of finite numbers, and centroids that contradict their norms."""
    np.save(tmp_path / "flat.npy", np.zeros(4, np.float32))
    assert "[clusters, channels]" in refused("codebook", tmp_path / "flat.npy")
    np.save(tmp_path / "nan.npy", np.full((4, 2), np.nan, np.float32))
    assert "NaN or infinity" in refused("codebook", tmp_path / "nan.npy")
    np.save(tmp_path / "object.npy", np.array([Hostile()]), allow_pickle=True)
    assert "object.npy is damaged or no array" in refused("codebook", tmp_path / "object.npy")
    centroids = torch.arange(6.0).view(2, 3)  # [d, K] = 3 centroids of width 2
    model = {"centroids": centroids, "centroid_norm": centroids.square().sum(1)[None]}
    torch.save({"model": model}, tmp_path / "turned.pt")
    assert "do not have the norms" in refused("codebook", tmp_path / "turned.pt")


def without(checkpoint, *names):
    for name in names:
        del checkpoint["model"][name]
    return checkpoint


@pytest.mark.parametrize(
    ("make", "section", "said"),
    [
        (lambda c: without(c, "decoder.layers.1.self_attn.q_proj.weight"), "stage1",
         "only k, v of the q, k and v"),
        (lambda c: without(c, "decoder.output_projection.weight"), "stage1",
         "no decoder.output_projection.weight"),
        (lambda c: without(c, "decoder.layers.0.fc1.bias"), "stage1",
         "missing: layers.0.feed_forward.up.bias"),
        (lambda c: c, "stage2", "without a prefix of semantic codes: import it as stage1"),
        (lambda c: c, "autoencoder", "holds no VQGAN"),
        (lambda c: c, "encoder", "holds no vision transformer"),
        (lambda c: c, "codebook", "holds no codebook"),
        (lambda c: {"model": {"decoder.x": torch.ones(1)}}, "stage1", "are not complete"),
        (lambda c: {"weights": 1}, "stage1", "holds no DiGIT decoder"),
        (lambda c: [1, 2], "stage1", "where names and tensors are expected"),
    ],
)  # fmt: skip
def test_checkpoints_that_do_not_fit(tmp_path, refused, fairseq, make, section, said) -> None:
    """A wrong section, an incomplete file, a file of something else."""
    torch.save(make(fairseq()), tmp_path / "checkpoint.pt")
    assert said in refused(section, tmp_path / "checkpoint.pt")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("layers.7.fc1.bias", torch.ones(12), "are not complete"),
        ("layers.999999999.fc1.bias", torch.ones(12), "are not complete"),
        ("embed_tokens.weight", torch.ones(21), "are not two-dimensional"),
        ("embed_tokens.weight", torch.ones(12, 8), "classes is -3"),
        ("layers.0.fc2.bias", torch.tensor([1.0] * 7 + [float("nan")]), "not finite"),
        ("layers.0.fc2.bias", torch.ones(8, dtype=torch.long), "no plain tensor of floating-point"),
        ("layers.0.fc2.bias", torch.ones(8).to_sparse(), "no plain tensor of floating-point"),
        ("layers.0.fc2.bias", torch.ones(1).expand(8), "claims more numbers than the file holds"),
    ],
)
def test_tensors_that_lie(tmp_path, refused, fairseq, name, value, said) -> None:
    """Nothing is built by a number from the file that the file does not bear out."""
    checkpoint = fairseq()
    checkpoint["model"][f"decoder.{name}"] = value
    torch.save(checkpoint, tmp_path / "checkpoint.pt")
    assert said in refused("stage1", tmp_path / "checkpoint.pt")


@pytest.mark.parametrize("section", ["stage1", "encoder", "autoencoder", "codebook"])
def test_hostile_files(tmp_path, monkeypatch, refused, fairseq, section) -> None:
    """Nothing in them is executed, wherever it hides."""
    monkeypatch.chdir(tmp_path)
    checkpoint = fairseq()
    checkpoint["cfg"]["task"]["more"] = Hostile()
    torch.save(checkpoint, "hostile.pt")
    assert ".system" in refused(section, tmp_path / "hostile.pt")
    assert os.listdir() == ["hostile.pt"]


@pytest.mark.parametrize("section", ["stage1", "encoder", "autoencoder", "codebook"])
def test_damaged_files(tmp_path, refused, fairseq, section) -> None:
    """Cut off, or never a checkpoint."""
    torch.save(fairseq(), tmp_path / "whole.pt")
    data = (tmp_path / "whole.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(data[: len(data) // 2])
    assert "cut.pt cannot be read" in refused(section, tmp_path / "cut.pt")
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY\x01\x00")
    assert "cut.npy" in refused("codebook", tmp_path / "cut.npy")
    assert "does not exist" in refused(section, tmp_path / "absent.pt")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\n<!DOCTYPE html><html>404</html>", "is a web page and no file of weights: download"),
        (b"\xef\xbb\xbf<html>", "is a web page"),
        (b"Quota exceeded, try again tomorrow.\n", "is a text and no file of weights"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "only git-lfs's pointer"),
        (b"", "is empty: download the file itself"),
    ],
    ids=["page", "page with a mark", "text", "pointer", "nothing"],
)
@pytest.mark.parametrize("name", ["a.pth", "a.npy"])
def test_what_a_download_leaves_in_the_place_of_a_file(
    tmp_path, refused, name, content, said
) -> None:
    """Under the right name, and of something else."""
    (tmp_path / name).write_bytes(content)
    assert said in refused("codebook", tmp_path / name)


def test_a_folder_is_no_file(tmp_path, refused) -> None:
    """Weights often lie in one that is called like them."""
    (tmp_path / "a.pt").mkdir()
    assert "a.pt is a folder: name the file in it" in refused("stage1", tmp_path / "a.pt")


def test_weights_that_do_not_fit_name_what_can_be_changed(tmp_path, refused) -> None:
    """There is no model to name for an autoencoder."""
    state = VQGAN(SMALL_VQGAN).state_dict() | {"decoder.more.weight": torch.ones(3)}
    torch.save(state, tmp_path / "a.ckpt")
    said = refused("autoencoder", tmp_path / "a.ckpt")
    assert said.rstrip().endswith("check SECTION and FILE")


@pytest.mark.parametrize(
    ("section", "options", "said"),
    [
        ("stage1", ("--decoder", "masked"), "--decoder is for stage2: leave it out"),
        ("stage1", ("--prefix-length", "4"), "--prefix-length is for stage2: leave it out"),
        ("codebook", ("--heads", "4"), "--heads is for stage1 and stage2 and encoder"),
        ("stage2", ("--model", "mae_base"), "--model is for encoder"),
    ],
)
def test_options_of_other_sections(tmp_path, refused, section, options, said) -> None:
    """They would be ignored silently."""
    assert said in refused(section, tmp_path / "file", *options)


def test_a_folder_that_holds_something_else(tmp_path, fairseq, capsys) -> None:
    """Neither a training's results nor the source itself are written over."""
    torch.save(fairseq(), tmp_path / "a.pt")
    words = ["import", "digit", "stage1", str(tmp_path / "a.pt"), "--out"]
    assert main([*words, str(tmp_path)]) == 1
    assert "is the folder of a.pt itself" in capsys.readouterr().err
    for name in ("metrics.jsonl", "model.safetensors"):
        folder = tmp_path / name.split(".")[0]
        folder.mkdir()
        (folder / name).write_text("mine")
        assert main([*words, str(folder)]) == 1
        assert f"holds {name}, which no finished import left there" in capsys.readouterr().err
        assert (folder / name).read_text() == "mine"
        assert os.listdir(folder) == [name]
    assert main([*words, str(tmp_path / "a.pt")]) == 1
    assert "is a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "record",
    [
        '{"section": "stage1"}',
        '{"section": "stage1", "source": "a.pt"}',
        '{"source": {"file": "a.pt", "sha256": "0"}}',
        '["stage1"]',
        '{"section": "stage1", "sou',
        "",
    ],
)
def test_a_folder_with_a_record_of_something_else(tmp_path, fairseq, capsys, record) -> None:
    """Half a record or another program's file: it stays, and nothing is said of repairing it."""
    torch.save(fairseq(), tmp_path / "a.pt")
    out = tmp_path / "out"
    out.mkdir()
    (out / "published.json").write_text(record)
    assert main(["import", "digit", "stage1", str(tmp_path / "a.pt"), "--out", str(out)]) == 1
    assert capsys.readouterr().err.strip() == (
        f"error: --out {out} holds published.json, which no finished import left there: "
        "name another folder, or delete it"
    )
    assert (out / "published.json").read_text() == record


def test_importing_again(tmp_path, imported, fairseq, capsys) -> None:
    """The same file may, with other options too; another file's import is not written over."""
    torch.save(fairseq(), tmp_path / "a.pt")
    checkpoint = fairseq()
    checkpoint["model"]["decoder.layers.0.fc2.bias"] += 1
    torch.save(checkpoint, tmp_path / "b.pt")
    first = read_json(imported("stage1", tmp_path / "a.pt") / "published.json")
    out = imported("stage1", tmp_path / "a.pt", "--length", "64")
    second = read_json(out / "published.json")
    assert first["files"]["model.json"] != second["files"]["model.json"]
    words = ["import", "digit", "stage1", str(tmp_path / "b.pt"), "--out", str(out)]
    assert main(words) == 1
    assert "holds an import of another file (a.pt): name another folder" in capsys.readouterr().err
    np.save(tmp_path / "k.npy", np.eye(3, dtype=np.float32))
    assert main(["import", "digit", "codebook", str(tmp_path / "k.npy"), "--out", str(out)]) == 1
    assert "an import for another section" in capsys.readouterr().err
    assert read_json(out / "published.json") == second


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("file/below", "cannot be made, for .*file is a file: name a folder"),
        ("/proc/tessera/out", r"--out /proc/tessera/out cannot be written \(No such file"),
    ],
)
def test_folders_that_cannot_be_made(tmp_path, fairseq, capsys, out, said) -> None:
    """One sentence, whatever the file system says."""
    torch.save(fairseq(), tmp_path / "a.pt")
    (tmp_path / "file").touch()
    words = ["import", "digit", "stage1", str(tmp_path / "a.pt"), "--out", str(tmp_path / out)]
    assert main(words) == 1
    error = capsys.readouterr().err
    assert re.search(said, error)
    assert error.count("\n") == 1


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch, refused, fairseq) -> None:
    """The record is the last file; where it cannot be written, none stays."""

    def full(path, value):
        raise UserError("no space is left on the disk")

    monkeypatch.setattr(writing, "write_json", full)
    torch.save(fairseq(), tmp_path / "a.pt")
    assert "no space is left" in refused("stage1", tmp_path / "a.pt")


def test_what_it_prints(tmp_path, imported, fairseq, capsys) -> None:
    """Sizes and parameters that a model of these sizes has, and a variant for the config."""
    torch.save(fairseq(), tmp_path / "a.pt")
    out = imported("stage1", tmp_path / "a.pt")
    printed = capsys.readouterr().out
    sizes = {"vocabulary": 10, "length": 256, "classes": 6, "width": 8, "layers": 2, "heads": 2}
    model = GPT(GPTConfig(**sizes, ffn=12, norm="post", max_positions=258))
    assert f"{sum(p.numel() for p in model.parameters()):,} parameters" in printed
    assert "2 layers of width 8, 2 heads" in printed
    assert "6 classes" in printed
    found = yaml.safe_load(printed.partition("does not tell):")[2])
    assert found == {
        "stage1": {
            "imported": {
                "kind": "published",
                "path": str(out),
                "codebook": "FILL_IN",
                "class_conditional": True,
            }
        }
    }


def test_an_array_of_centroids_tells_nothing_else(tmp_path, capsys) -> None:
    """Whose features they are must be said, or they would be compared with others."""
    np.save(tmp_path / "k.npy", np.eye(3, dtype=np.float32))
    out = tmp_path / "Km-8k.v2"
    assert main(["import", "digit", "codebook", str(tmp_path / "k.npy"), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    found = yaml.safe_load(printed.partition("does not tell):")[2])
    assert found["codebooks"]["km_8k_v2"] == {
        "kind": "published", "path": str(out),
        "encoder": "FILL_IN", "layer": "FILL_IN", "input_size": "FILL_IN",
    }  # fmt: skip
    views = {"data": {"a": {"kind": "digits"}}}
    with pytest.raises(UserError, match=r"codebooks\.km_8k_v2\.encoder"):
        validate(found | views)


def test_help_needs_no_torch() -> None:
    """It answers at once."""
    code = (
        "import sys\nfrom tessera.cli import main\n"
        "try:\n    main(['import', '--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "stage1,stage2,autoencoder,encoder,codebook" in result.stdout
