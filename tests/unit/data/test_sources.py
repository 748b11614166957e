"""Where images come from: their lists, classes and splits."""

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tessera.config.data import DigitsData, FolderData
from tessera.data.sources import open_source
from tessera.errors import UserError

DIGITS = DigitsData(kind="digits")


def folder(path, **settings) -> FolderData:
    return FolderData(kind="folder", path=str(path), **settings)


def names(items) -> list[str]:
    return [item.name for item in items]


def test_digits_are_split_by_class():
    """1,797 digits: 1,437 to train on, 360 held out, each class by its share."""
    source = open_source(DIGITS)
    train, validation = source.splits["train"], source.splits["validation"]
    assert (len(train), len(validation)) == (1437, 360)
    assert not set(names(train)) & set(names(validation))
    counts = np.bincount(load_digits().target)
    held = Counter(item.label for item in validation)
    for label, count in enumerate(counts):
        assert abs(held[label] - count * 360 / 1797) < 1
    assert source.classes == list("0123456789")


def test_the_split_and_the_order_are_drawn_by_seed():
    """The same seed gives the same lists, another one others; the order mixes the classes."""
    one, same = open_source(DIGITS), open_source(DIGITS)
    other = open_source(DigitsData(kind="digits", seed=1))
    assert names(one.splits["train"]) == names(same.splits["train"])
    assert set(names(one.splits["train"])) != set(names(other.splits["train"]))
    assert len({item.label for item in one.splits["train"][:60]}) == 10


def test_a_digit_is_its_own_image_enlarged():
    """8x8 in 17 levels → grey RGB of the size asked for, bicubic."""
    item = open_source(DigitsData(kind="digits", image_size=24)).splits["train"][0]
    number = int(item.name.split()[1])
    digits = load_digits()
    assert item.label == digits.target[number]
    image = Image.open(io.BytesIO(item.read()))
    assert (image.mode, image.size) == ("RGB", (24, 24))
    pixels = np.asarray(image)
    assert np.array_equal(pixels[..., 0], pixels[..., 2])
    small = np.asarray(image.convert("L").resize((8, 8), Image.Resampling.BOX), float)
    assert np.corrcoef(small.ravel(), digits.images[number].ravel())[0, 1] > 0.97


def test_a_folder_with_splits_keeps_them(tree):
    """`train/` and `val/` or `validation/` are what they say."""
    tree("train", cat=3, dog=2)
    root = tree("val", cat=1, dog=2)
    source = open_source(folder(root))
    assert source.classes == ["cat", "dog"]
    assert Counter(item.label for item in source.splits["train"]) == {0: 3, 1: 2}
    assert Counter(item.label for item in source.splits["validation"]) == {0: 1, 1: 2}
    assert all("/val/" in name for name in names(source.splits["validation"]))


def test_a_folder_without_splits_is_split_by_class(tree):
    """By the share that the config says, each class alike."""
    source = open_source(folder(tree(cat=10, dog=20), validation_share=0.2))
    assert Counter(item.label for item in source.splits["train"]) == {0: 8, 1: 16}
    assert Counter(item.label for item in source.splits["validation"]) == {0: 2, 1: 4}


def test_what_is_no_image_is_left_out(tree):
    """Hidden files, texts; suffixes in capitals count; subfolders of a class are its own."""
    root = tree(cat=4, dog=4)
    (root / "README.txt").write_text("words")
    (root / ".cache").mkdir()
    (root / "cat" / "notes.txt").write_text("words")
    (root / "cat" / "more").mkdir()
    (root / "cat" / "0.png").rename(root / "cat" / "more" / "0.PNG")
    source = open_source(folder(root, validation_share=0.5))
    found = [name for items in source.splits.values() for name in names(items)]
    assert len(found) == 8
    assert any(name.endswith("cat/more/0.PNG") for name in found)


def test_a_missing_folder_is_one_sentence(tmp_path):
    """It names the folder and the setting."""
    with pytest.raises(UserError, match=r"the image folder .*absent does not exist: set `path`"):
        open_source(folder(tmp_path / "absent"))


def test_a_folder_without_classes_is_one_sentence(tmp_path, png):
    """Images beside each other have no class."""
    (tmp_path / "a.png").write_bytes(png())
    with pytest.raises(UserError, match="has no subfolders: put the images of each class into"):
        open_source(folder(tmp_path))


def test_a_folder_without_images_is_one_sentence(tmp_path):
    """Classes without a single image."""
    (tmp_path / "cat").mkdir()
    with pytest.raises(UserError, match=r"holds no images \(.*\.png.*\): check `path`"):
        open_source(folder(tmp_path))


def test_an_empty_class_is_one_sentence(tree):
    """A class that no image shows is a mistake: of the path, or of a copy cut short."""
    root = tree(cat=10, dog=10)
    (root / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty.* holds no images.*: "):
        open_source(folder(root))


@pytest.mark.parametrize("level", ["data set", "splits of one", "classes"])
def test_a_path_that_ends_too_early_is_one_sentence(tree, level):
    """It would make one class of all images: of ImageNet's splits, or of `ILSVRC/n01440764/…`."""
    for split in ("train", "val"):
        root = tree(f"imagenet/{split}", cat=2, dog=2)
    if level == "classes":
        root = tree("other/train/ILSVRC", cat=2, dog=2) / "other"
        message = r"ILSVRC, the only folder in .*train, holds folders \(cat, …\) and no images"
    elif level == "data set":
        message = r"imagenet is no class but holds the splits of a data set: set .* to .*imagenet$"
    else:
        tree("coco/train", cat=2)
        message = r"imagenet is no class but holds the splits"
    with pytest.raises(UserError, match=message):
        open_source(folder(root))


def test_images_of_one_class(tree):
    """Also in folders below it, beside images of its own."""
    root = tree(cat=6)
    (root / "cat" / "more").mkdir()
    (root / "cat" / "0.png").rename(root / "cat" / "more" / "0.png")
    assert open_source(folder(root, validation_share=0.5)).classes == ["cat"]


def test_a_class_of_one_image_cannot_be_split(tree):
    """It would be in one split alone."""
    with pytest.raises(UserError, match=r"cannot be split by class .*: add images, or change"):
        open_source(folder(tree(cat=10, dog=1)))


def test_a_class_only_in_validation_is_one_sentence(tree):
    """The training split names the classes."""
    tree("train", cat=2)
    root = tree("validation", cat=1, dog=1)
    with pytest.raises(UserError, match=r"dog is a class that the training split does not have"):
        open_source(folder(root))


def test_train_alone_is_split_by_class_and_test_is_not_read(tree):
    """A folder named train holds the classes; what stands beside it is not training data."""
    root = tree("train", a=10, b=10)
    tree("test", a=5)
    source = open_source(FolderData(kind="folder", path=str(root)))
    assert source.classes == ["a", "b"]
    assert {split: len(items) for split, items in source.splits.items()} == {
        "train": 16,
        "validation": 4,
    }


def test_validation_without_train_is_one_sentence(tree):
    """The splits would else pass for classes."""
    root = tree("val", a=3)
    tree("other", a=3)
    with pytest.raises(UserError, match=r"val is a validation split, but there is no .*train"):
        open_source(FolderData(kind="folder", path=str(root)))


def test_links_are_followed(tree, tmp_path, png):
    """Classes and files are often links into a larger data set."""
    root = tree("train", cat=2)
    (tmp_path / "large" / "more").mkdir(parents=True)
    for name in ("a.png", "more/b.png"):
        (tmp_path / "large" / name).write_bytes(png())
    (root / "train" / "dog").symlink_to(tmp_path / "large")
    (root / "train" / "cat" / "linked").symlink_to(tmp_path / "large" / "more")
    (root / "train" / "cat" / "dead.png").symlink_to(tmp_path / "absent.png")
    source = open_source(folder(root, validation_share=0.5))
    found = sorted(name for items in source.splits.values() for name in names(items))
    assert [name.partition("train/")[2] for name in found] == [
        "cat/0.png", "cat/1.png", "cat/linked/b.png", "dog/a.png", "dog/more/b.png",
    ]  # fmt: skip


def test_a_link_in_a_circle_is_one_sentence(tree):
    """It would never end."""
    root = tree(cat=2, dog=2)
    (root / "cat" / "again").symlink_to(root / "cat")
    with pytest.raises(UserError, match="again links to a folder above itself: remove the link"):
        open_source(folder(root))


def test_hidden_files_are_no_images(tree):
    """Other systems leave `._1.png` beside `1.png`."""
    root = tree(cat=4, dog=4)
    (root / "cat" / "._1.png").write_bytes(b"no image")
    source = open_source(folder(root, validation_share=0.5))
    assert sum(map(len, source.splits.values())) == 8


def test_a_flat_validation_folder_is_one_sentence(tree, png):
    """ImageNet's validation images come in one heap: it says what to do."""
    root = tree("train", cat=2, dog=2)
    (root / "val").mkdir()
    (root / "val" / "ILSVRC2012_val_00000001.JPEG").write_bytes(png())
    with pytest.raises(UserError, match=r"val has no subfolders: put the images .*valprep\.sh"):
        open_source(folder(root))


def test_in_place_nothing_is_resized():
    """A size would be ignored without a word."""
    with pytest.raises(ValueError, match="in_place reads the files as they are: remove image_size"):
        folder("images", in_place=True, image_size=32)
