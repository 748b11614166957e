"""One data set as every kind of file: the same images, labels and classes come out of all."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tests.unit.data.formats import COUNTS, KINDS, WNIDS

from tessera.config.canonical import canonical_json
from tessera.config.data import Views
from tessera.config.lock import stage_versions
from tessera.data import expect
from tessera.data.expect import Known
from tessera.data.images import ShardIndex, spread
from tessera.errors import UserError
from tessera.stages import shards
from tessera.stages.job import Job

VIEWS = Views(data="set", resize=16, crop=16, random_crop=False)
IN_PLACE = [kind for kind in KINDS if kind != "packed"]


@pytest.fixture
def made(tmp_path, stored):
    """A function that stores images as one kind and runs the stage `shards` on them."""

    def make(kind, samples=None, threads=1, **settings) -> ShardIndex:
        return index_of(stored(kind, samples, **settings), tmp_path / "results" / kind, threads)

    return make


def index_of(settings, out, threads=1) -> ShardIndex:
    """Runs the stage's work; a mistake is raised, not printed."""
    node = {
        "stage": "shards",
        "version": stage_versions()["shards"],
        "settings": json.loads(settings.model_dump_json(exclude={"label", "max_corrupt_share"})),
        "inputs": {},
    }
    counts = getattr(settings, "shards", None)
    arguments = SimpleNamespace(
        settings=canonical_json(node), threads=threads, device="cpu", card=out / "card.json",
        index=out / "index.json", max_corrupt_share=0.0,
        shards=[getattr(counts, split, 0) for split in ("train", "validation")],
    )  # fmt: skip
    shards.work(Job("shards", arguments))
    return ShardIndex(out / "index.json")


def expected(imagenet, split) -> set[tuple[bytes, int]]:
    """Pixels and class of each image, made by Pillow alone."""
    found = set()
    for _, label, data in imagenet[split]:
        image = Image.open(io.BytesIO(data)).convert("RGB")
        short = min(image.size)
        size = (image.width * 16 // short, image.height * 16 // short)
        image = image.resize(size, Image.Resampling.BICUBIC)
        left, top = round((size[0] - 16) / 2), round((size[1] - 16) / 2)
        pixels = np.asarray(image.crop((left, top, left + 16, top + 16)))
        found.add((pixels.transpose(2, 0, 1).tobytes(), label))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_hold_the_same_images(made, imagenet, kind):
    """Pixels, labels, counts, and classes in the order of their identifiers."""
    index = made(kind)
    assert tuple(index.classes) == WNIDS
    for split, count in COUNTS.items():
        images = index.load(split, VIEWS)
        assert index.count(split) == 3 * count
        assert images.numbers.tolist() == list(range(3 * count))
        found = {
            (p[0].tobytes(), int(label))
            for p, label in zip(images.pixels, images.labels, strict=True)
        }
        assert found == expected(imagenet, split)
        assert len(found) == 3 * count


@pytest.mark.parametrize("kind", IN_PLACE)
def test_nothing_is_packed_in_place(made, kind):
    """The card tells of the index, and of the lists of a folder; images per class are counted."""
    index = made(kind)
    card = json.loads((index.folder / "card.json").read_text())
    assert not list(index.folder.glob("*.tar"))
    assert len(card["outputs"]) == (6 if kind == "folder" else 1)
    assert (card["results"]["train_images"], card["results"]["validation_images"]) == (18, 6)
    splits = json.loads((index.folder / "index.json").read_text())["splits"]
    assert splits["train"]["per_class"] == [6, 6, 6]
    assert [entry["count"] for entry in splits["validation"]["shards"]] == [3, 3]
    assert [entry["first"] for entry in splits["validation"]["shards"]] == [0, 3]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parts", [2, 3])
def test_parts_share_the_images(made, kind, parts):
    """Each image in exactly one part, the same pixels in whichever."""
    index = made(kind)
    views = Views(data="set", crop=12, flip=True, count=2)
    whole = index.load("train", views)
    seen = []
    for part in range(parts):
        for piece in index.stream("train", views, 4, part, parts):
            assert np.array_equal(piece.pixels, whole.pixels[piece.numbers])
            assert np.array_equal(piece.labels, whole.labels[piece.numbers])
            seen += piece.numbers.tolist()
    assert sorted(seen) == list(range(18))


@pytest.mark.parametrize("kind", KINDS)
def test_threads_change_nothing(made, kind):
    """The same batches in the same order."""
    index = made(kind, threads=3)
    views = Views(data="set", crop=12, flip=True, count=2)
    one = list(index.stream("train", views, 5))
    many = list(index.stream("train", views, 5, workers=3))
    assert len(one) == len(many) == 4
    for a, b in zip(one, many, strict=True):
        assert np.array_equal(a.pixels, b.pixels)
        assert np.array_equal(a.numbers, b.numbers)
        assert np.array_equal(a.labels, b.labels)


@pytest.mark.parametrize("kind", KINDS)
def test_some_images_are_taken(made, kind):
    """Those asked for, in order, as they are in the whole."""
    index = made(kind)
    whole = index.load("train", VIEWS)
    some = index.take("train", VIEWS, [16, 2, 7], workers=2)
    assert some.numbers.tolist() == [2, 7, 16]
    assert np.array_equal(some.pixels, whole.pixels[[2, 7, 16]])


@pytest.mark.parametrize(
    ("count", "wanted", "numbers"),
    [(10, 3, [0, 3, 6]), (4, 4, [0, 1, 2, 3]), (3, 9, [0, 1, 2]), (5, 1, [0]), (0, 4, [])],
)
def test_numbers_are_spread(count, wanted, numbers):
    """From front to back, none twice."""
    assert spread(count, wanted).tolist() == numbers


def test_a_folder_in_place_is_mixed(made):
    """Any run of images holds all classes, as in packed shards; the order is that of packing."""
    placed, packed = made("folder"), made("packed")
    labels = placed.load("train", VIEWS).labels
    assert set(labels[:9]) == {0, 1, 2}
    assert np.array_equal(labels, packed.load("train", VIEWS).labels)
    assert np.array_equal(placed.load("train", VIEWS).pixels, packed.load("train", VIEWS).pixels)


def name_of(kind, split="train", number=0) -> str:
    """What `exclude` calls an image of the first class."""
    key = f"{WNIDS[0]}_{number}"
    if kind in ("packed", "folder"):
        return f"{'val' if split == 'validation' else split}/{WNIDS[0]}/{key}.JPEG"
    return f"{key}.JPEG" if kind == "parquet" else key


def spoiled(imagenet, number=0):
    """The samples, one of them no image."""
    samples = dict(imagenet)
    samples["train"] = [
        (key, label, b"no image" if key == f"{WNIDS[0]}_{number}" else data)
        for key, label, data in imagenet["train"]
    ]
    return samples


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", IN_PLACE)
def test_a_broken_image_is_named_with_its_cure(made, imagenet, kind, workers):
    """It is found when it is read; its name is what `exclude` takes."""
    index = made(kind, spoiled(imagenet, 4))
    with pytest.raises(UserError, match="no readable image") as raised:
        list(index.stream("train", VIEWS, 4, workers=workers))
    assert f"add '{name_of(kind, number=4)}' to `exclude`" in str(raised.value)
    assert kind.partition("_")[0] in str(raised.value)  # the folder, in the path of the file


@pytest.mark.parametrize("kind", KINDS)
def test_an_excluded_image_is_gone(made, imagenet, kind):
    """The others are numbered without a gap; a broken image does not matter then."""
    index = made(kind, spoiled(imagenet, 4), exclude=[name_of(kind, number=4)])
    images = index.load("train", VIEWS)
    assert images.numbers.tolist() == list(range(17))
    assert np.bincount(images.labels).tolist() == [5, 6, 6]
    card = json.loads((index.folder / "card.json").read_text())
    assert card["results"]["excluded"] == 1


@pytest.mark.parametrize(
    ("kind", "name"),
    [("webdataset", "train-0001.tar:n02102040_0"), ("parquet", "train-00001.parquet:0")],
)
def test_an_image_may_be_excluded_by_its_file(made, kind, name):
    """Where names occur more than once, or there are none."""
    index = made(kind, exclude=[name])
    assert np.bincount(index.load("train", VIEWS).labels).tolist() == [6, 5, 6]


@pytest.mark.parametrize("kind", KINDS)
def test_an_excluded_image_that_is_not_there_is_an_error(made, kind):
    """A typing error would else be silent."""
    with pytest.raises(UserError, match="`exclude` of this data set names 'n0/typo', but there is"):
        made(kind, exclude=[name_of(kind), "n0/typo"])


@pytest.mark.parametrize("kind", ["folder", "webdataset", "parquet"])
def test_an_image_smaller_than_the_crop_is_named(made, kind):
    """With the way out, which is not to exclude it."""
    index = made(kind)
    with pytest.raises(UserError, match=r"n0\d+_\d.* smaller than the crop \(22\): set") as raised:
        index.load("train", Views(data="set", crop=22))
    assert "exclude" not in str(raised.value)


def test_a_moved_folder_is_an_error(made, tmp_path):
    """The index tells where the images were."""
    index = made("folder")
    (tmp_path / "folder").rename(tmp_path / "moved")
    with pytest.raises(UserError, match=r"lay in .*folder, which is not there: .*`shards`"):
        index.load("train", VIEWS)


def test_a_file_gone_from_the_folder_is_named(made, tmp_path):
    """Since it was listed."""
    index = made("folder")
    (tmp_path / "folder" / name_of("folder")).unlink()
    with pytest.raises(UserError, match=r"n01440764_0\.JPEG: it cannot be read"):
        index.load("train", VIEWS)


@pytest.mark.parametrize("change", ["removed", "cut", "not a list"])
def test_a_damaged_list_is_an_error(made, change):
    """Each list holds as many images as the index says."""
    index = made("folder")
    file = index.folder / "train-00001-of-00003.tsv"
    if change == "removed":
        file.unlink()
    else:
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(lines[:-1]) if change == "cut" else "words\n")
    with pytest.raises(UserError, match=r"train-00001-of-00003\.tsv .*run the stage `shards`"):
        index.load("train", VIEWS)


@pytest.mark.parametrize("kind", ["webdataset", "parquet"])
@pytest.mark.parametrize("change", ["removed", "cut"])
def test_a_file_that_changed_since_is_an_error(made, tmp_path, kind, change):
    """It would silently hold fewer images."""
    index = made(kind)
    (file,) = (tmp_path / kind).glob("train-*1.*")
    if change == "removed":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-600])
    with pytest.raises(UserError, match=rf"{file.name} is .*run the stage `shards` again"):
        index.load("train", VIEWS)


@pytest.mark.parametrize("kind", ["webdataset", "parquet"])
def test_other_samples_of_the_same_size_are_an_error(made, tmp_path, stored, imagenet, kind):
    """The count is checked as well as the size."""
    index = made(kind)
    content = json.loads((index.folder / "index.json").read_text())
    content["splits"]["train"]["shards"][0]["count"] += 1
    (index.folder / "index.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="holds 9 images and held 10 when it was listed"):
        ShardIndex(index.folder / "index.json").load("train", VIEWS)


@pytest.mark.parametrize("kind", ["webdataset", "parquet"])
def test_whole_files_are_held_out_where_no_validation_is_given(made, kind):
    """Half of two files here; no image is in both splits."""
    index = made(kind, validation=None)
    assert (index.count("train"), index.count("validation")) == (9, 9)
    train, held = index.load("train", VIEWS).pixels, index.load("validation", VIEWS).pixels
    assert not {p.tobytes() for p in train} & {p.tobytes() for p in held}


@pytest.mark.parametrize("kind", ["webdataset", "parquet"])
def test_a_class_only_in_validation_is_an_error(made, imagenet, kind):
    """No model could have learned it."""
    samples = dict(imagenet)
    samples["train"] = [entry for entry in samples["train"] if entry[1] != 1]
    with pytest.raises(UserError, match="holds the class 1, which the training split does not"):
        made(kind, samples)


@pytest.mark.parametrize("kind", ["webdataset", "webdataset_json", "parquet"])
def test_labels_in_another_order_than_the_identifiers_are_an_error(made, imagenet, kind):
    """As with the numbers of ILSVRC's development kit: a training would not notice."""
    order = {0: 1, 1: 0, 2: 2}
    samples = {s: [(k, order[n], d) for k, n, d in e] for s, e in imagenet.items()}
    with pytest.raises(UserError, match="0 is n02102040 and 1 is n01440764; number the classes"):
        made(kind, samples)


@pytest.mark.parametrize("kind", ["webdataset", "webdataset_json", "parquet"])
def test_a_label_of_two_identifiers_is_an_error(made, imagenet, kind):
    """The labels of other images."""
    samples = dict(imagenet)
    key, _, data = samples["train"][0]
    samples["train"] = [(key, 2, data), *samples["train"][1:]]
    with pytest.raises(UserError, match="label 2 stands for both n01440764 and n15075141"):
        made(kind, samples)


@pytest.mark.parametrize("kind", ["webdataset", "webdataset_json", "parquet"])
def test_classes_without_identifiers_are_called_by_their_labels(made, imagenet, kind):
    """And are in the order of the numbers, 10 after 9; they need not begin at 0."""
    samples = {
        s: [(f"{k.rpartition('_')[2]}x{n}", n + 8, d) for k, n, d in e] for s, e in imagenet.items()
    }
    index = made(kind, samples)
    assert index.classes == ["8", "9", "10"]
    assert set(index.load("train", VIEWS).labels) == {0, 1, 2}


@pytest.mark.parametrize("kind", KINDS)
def test_imagenet_is_checked_by_its_counts(made, kind, monkeypatch):
    """What was found is said; the whole passes, also where images are excluded on purpose."""
    with pytest.raises(UserError, match=r"1,281,167 training .* there are 18, 6 and 3: complete"):
        made(kind, expect="imagenet")
    monkeypatch.setitem(expect.KNOWN, "imagenet", Known(18, 6, 3, WNIDS[0], WNIDS[-1]))
    assert made(kind, expect="imagenet").count("train") == 18
    index = made(kind, expect="imagenet", exclude=[name_of(kind)])
    assert index.count("train") == 17


def test_imagenets_folders_have_its_identifiers(tree, tmp_path, monkeypatch):
    """Folders called tench or hen would be in another order."""
    from tessera.config.data import FolderData

    tree("train", cat=2, dog=2)
    root = tree("val", cat=1, dog=1)
    monkeypatch.setitem(expect.KNOWN, "imagenet", Known(4, 2, 2, WNIDS[0], WNIDS[-1]))
    settings = FolderData(kind="folder", path=str(root), in_place=True, expect="imagenet")
    with pytest.raises(UserError, match="from n01440764 to n15075141, and they go from cat to dog"):
        index_of(settings, tmp_path / "out")


def test_the_figures_of_imagenet():
    """ILSVRC 2012 as published."""
    known = expect.KNOWN["imagenet"]
    assert (known.train, known.validation, known.classes) == (1_281_167, 50_000, 1_000)
