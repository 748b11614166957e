"""Variants whose weights somebody else trained."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import yaml

from tessera.config.load import validate
from tessera.config.published import contents, read_record, require_files
from tessera.config.resolve import node
from tessera.errors import UserError

RAW = yaml.safe_load((Path(__file__).parents[2] / "workflow" / "config.yaml").read_text())
FILES = {"model.safetensors": "1" * 64, "model.json": "2" * 64}


def write_record(folder, section="autoencoders", files=FILES, **config):
    """A folder as `tessera import` leaves it, without weights."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {"section": section, "source": {"file": "a.ckpt"}, "files": files, "facts": {}}
    (folder / "published.json").write_text(json.dumps(record))
    (folder / "model.json").write_text(json.dumps({"model": "VQGAN", "config": config}))
    read_record.cache_clear()
    return folder


@pytest.fixture
def published(raw, tmp_path):
    """A config whose autoencoder is published, and its folder."""
    folder = write_record(tmp_path / "vqgan", resolution=32)
    raw["autoencoders"]["vqgan"] = {"kind": "published", "path": str(folder)}
    raw["autoencoders"]["shapes"] = RAW["autoencoders"]["vqgan"] | {"views": "shapes"}
    return raw, folder


def test_what_the_folder_holds_counts_and_not_where_it_lies(published, tmp_path):
    """A moved folder reruns nothing; other weights rerun all that stands below."""
    raw, folder = published
    before = node(validate(raw), "autoencoders", "vqgan")
    assert before["stage"] == "published"
    assert before["settings"] == {"kind": "published"}
    moved = tmp_path / "elsewhere"
    shutil.move(folder, moved)
    raw["autoencoders"]["vqgan"]["path"] = str(moved)
    assert node(validate(raw), "autoencoders", "vqgan") == before
    write_record(moved, files=FILES | {"model.safetensors": "3" * 64}, resolution=32)
    assert node(validate(raw), "autoencoders", "vqgan") != before


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (
            lambda f: (f / "published.json").unlink(),
            r"^config: autoencoders\.vqgan: no imported weights lie in .*vqgan: run `tessera "
            r"import digit autoencoder FILE --out .*vqgan` \(docs/imagenet\.md says which file\)",
        ),
        (lambda f: (f / "published.json").write_text("{}"), "is no record of imported weights"),
        (
            lambda f: write_record(f, "stage1", resolution=32),
            "holds weights for stage1, but the config names",
        ),
    ],
)
def test_a_wrong_folder_is_found_before_any_job(published, break_it, message):
    """Its record tells."""
    raw, folder = published
    break_it(folder)
    read_record.cache_clear()
    with pytest.raises(UserError, match=message):
        node(validate(raw), "autoencoders", "vqgan")


def test_files_of_a_rehearsal_are_made_by_a_command(changed, tmp_path, monkeypatch):
    """Nobody has to get them."""
    monkeypatch.chdir(tmp_path)
    folder = "results-imagenet-shape/stand-ins"
    config = changed(
        {
            "data.shapes.path": f"{folder}/imagenet",
            "autoencoders.other": {"kind": "published", "path": f"{folder}/vqgan"},
            "extractors.other": {"kind": "inception", "weights": f"{folder}/w.pth"},
        }
    )
    for section, name in (("data", "shapes"), ("autoencoders", "other"), ("extractors", "other")):
        with pytest.raises(UserError, match=rf"{section}\.{name}: .*: run `make imagenet-shape`"):
            node(config, section, name)


def test_files_beside_the_record_are_compared_with_it(tmp_path):
    """By their digests; a record that names a file elsewhere is not followed."""
    folder = write_record(tmp_path / "a", files={"model.json": "0" * 64})
    digest = hashlib.sha256((folder / "model.json").read_bytes()).hexdigest()
    with pytest.raises(UserError, match=r"model\.json is absent or not what .* wrote"):
        require_files(str(folder), "autoencoders")
    write_record(folder, files={"model.json": digest})
    require_files(str(folder), "autoencoders")
    (tmp_path / "model.json").write_bytes((folder / "model.json").read_bytes())
    (folder / "model.json").unlink()
    record = json.loads((folder / "published.json").read_text())
    record["files"] = {"../model.json": digest}
    (folder / "published.json").write_text(json.dumps(record))
    read_record.cache_clear()
    with pytest.raises(UserError, match=r"a/model\.json is absent"):
        require_files(str(folder), "autoencoders")


def test_sizes_of_published_weights_are_checked(published):
    """As those of trained ones: the crops must be the autoencoder's images."""
    raw, folder = published
    write_record(folder, resolution=512)
    with pytest.raises(UserError, match="which reads 512"):
        validate(raw)


def test_a_published_stage_names_its_tokenizers(changed):
    """It has no token set of its own."""
    stage1 = {"kind": "published", "path": "p", "class_conditional": False}
    with pytest.raises(UserError, match="name one tokenizer"):
        changed({"stage1.other": stage1})
    config = changed({"stage1.other": stage1 | {"codebook": "k8"}})
    assert config.stage1["other"].codebook == "k8"


def test_a_published_stage_must_fit_the_rest(changed):
    """A sampling of a published stage 1 over VQGAN codes cannot go through a stage 2."""
    stage1 = {
        "kind": "published",
        "path": "p",
        "class_conditional": True,
        "autoencoder": "vqgan",
    }
    with pytest.raises(UserError, match=r"mixes vocabularies: .* draws tokens of 'vqgan'"):
        changed({"stage1.other": stage1, "samplings.cond_ar.stage1": "other"})


def test_a_file_of_weights_is_watched(changed, tmp_path):
    """The digest of the launch stands in the node; to pin it changes nothing but a wrong file."""
    weights = tmp_path / "inception.pth"
    weights.write_bytes(b"first")
    extractor = {"kind": "inception", "weights": str(weights)}
    made = node(changed({"extractors.inception": extractor}), "extractors", "inception")
    assert made["inputs"]["files"] == hashlib.sha256(b"first").hexdigest()
    weights.write_bytes(b"another")
    again = node(changed({"extractors.inception": extractor}), "extractors", "inception")
    assert again["inputs"]["files"] == hashlib.sha256(b"another").hexdigest()
    pinned = extractor | {"sha256": hashlib.sha256(b"another").hexdigest()[:8]}
    assert node(changed({"extractors.inception": pinned}), "extractors", "inception") == again
    wrong = changed({"extractors.inception": extractor | {"sha256": "6726825d"}})
    with pytest.raises(UserError, match=r"has the SHA-256 .* the config says 6726825d"):
        node(wrong, "extractors", "inception")


def test_contents_do_not_depend_on_the_source(tmp_path):
    """The same weights from another file name are the same weights."""
    first = contents(str(write_record(tmp_path / "a")), "autoencoders")
    folder = write_record(tmp_path / "b")
    record = json.loads((folder / "published.json").read_text())
    record["source"]["file"] = "b.ckpt"
    (folder / "published.json").write_text(json.dumps(record))
    assert contents(str(folder), "autoencoders") == first
