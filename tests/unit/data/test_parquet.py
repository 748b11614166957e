"""Parquet files: columns, rows, and what can be wrong with them."""

import pytest

from tessera.config.data import ParquetData
from tessera.data.parquet import samples
from tessera.errors import UserError

arrow = pytest.importorskip("pyarrow")


def settings(**values) -> ParquetData:
    return ParquetData(kind="parquet", train="x", **values)


def read(path, images=True, exclude=(), **values) -> list:
    return list(samples(path, settings(**values), frozenset(exclude), images))


@pytest.fixture
def table(tmp_path):
    """A function that writes columns as a file of small row groups."""
    from pyarrow import parquet

    def write(**columns):
        parquet.write_table(arrow.table(columns), tmp_path / "p.parquet", row_group_size=3)
        return tmp_path / "p.parquet"

    return write


def images(png, count, path="{}.JPEG") -> list:
    return [{"bytes": png(seed=i), "path": path.format(i)} for i in range(count)]


def test_rows_come_in_order(table, png):
    """Across row groups and batches; other columns do not matter."""
    path = table(image=images(png, 150), label=[i % 7 for i in range(150)], words=["a"] * 150)
    found = read(path)
    assert [sample.label for sample in found] == [i % 7 for i in range(150)]
    assert [sample.data for sample in found] == [png(seed=i) for i in range(150)]
    assert found[10].names == ("10.JPEG", "p.parquet:10")
    assert [sample.label for sample in read(path, images=False)] == [i % 7 for i in range(150)]
    assert not any(sample.data for sample in read(path, images=False))


def test_images_may_be_plain_bytes(table, png):
    """And the columns may be called otherwise, with a dot in their names too."""
    path = table(**{"my.img": [png(), png(seed=1)], "fine.label": ["n02", "n01"]})
    found = read(path, image_key="my.img", label_key="fine.label")
    assert [(sample.label, sample.data) for sample in found] == [
        ("n02", png()), ("n01", png(seed=1)),
    ]  # fmt: skip
    assert found[1].names == ("p.parquet:1",)


def test_images_without_paths(table, png):
    """The hub allows a path of null."""
    path = table(image=[{"bytes": png(), "path": None}], label=[2])
    assert read(path)[0].names == ("p.parquet:0",)


def test_cls_is_a_label_too(table, png):
    """Where there is no `label`."""
    assert read(table(image=images(png, 1), cls=[4]))[0].label == 4


def test_missing_columns_are_said(table, png):
    """With those that there are, and the setting."""
    path = table(picture=images(png, 2), target=[0, 1])
    with pytest.raises(
        UserError, match=r"no column label or cls \(.*: picture, target\): set `lab"
    ):
        read(path)
    with pytest.raises(UserError, match=r"p\.parquet has no column image .*set `image_key`"):
        read(path, label_key="target")


def test_a_column_without_files_is_said(table):
    """An array of pixels, or paths alone, are no image files."""
    path = table(image=[[1, 2], [3, 4]], label=[0, 1])
    with pytest.raises(UserError, match="holds no image files in its column image"):
        read(path)
    with pytest.raises(UserError, match="holds no image files in its column image"):
        read(table(image=["a.jpg"], label=[0]))


@pytest.mark.parametrize("missing", [None, b""])
def test_a_row_without_an_image_is_said(table, png, missing):
    """Files written without the images hold only their paths."""
    path = table(image=[*images(png, 4), {"bytes": missing, "path": "x"}], label=[0, 1, 1, 1, 1])
    for with_images in (True, False):  # the stage shards looks at the labels alone
        with pytest.raises(UserError, match=r"row 4 holds no image.*'p\.parquet:4'"):
            read(path, images=with_images)
        found = read(path, images=with_images, exclude=["p.parquet:4"])
        assert [sample.label for sample in found] == [0, 1, 1, 1, None]


def test_a_row_of_null_is_said(table, png):
    """Neither bytes nor path."""
    path = table(image=[*images(png, 1), None], label=[0, 1])
    with pytest.raises(UserError, match="row 1 holds no image"):
        read(path, images=False)


def test_without_statistics_the_images_are_read(tmp_path, png):
    """Nothing else tells whether a row lacks one."""
    from pyarrow import parquet

    table = arrow.table({"image": [*images(png, 1), None], "label": [0, 1]})
    parquet.write_table(table, tmp_path / "p.parquet", write_statistics=False)
    with pytest.raises(UserError, match="row 1 holds no image"):
        read(tmp_path / "p.parquet", images=False)


@pytest.mark.parametrize(("label", "message"), [(None, "no label"), (-1, "the label -1")])
def test_a_row_without_a_label_is_said(table, png, label, message):
    """Test images have none, or -1."""
    path = table(image=images(png, 2), label=[0, label])
    with pytest.raises(UserError, match=rf"p\.parquet, row 1 has {message}"):
        read(path, images=False)


@pytest.mark.parametrize("kept", [0, 3, 500, -100, -1])
def test_a_damaged_file_is_said(table, png, kept):
    """Truncated, or none at all."""
    path = table(image=images(png, 20), label=[0] * 20)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"p\.parquet is damaged, truncated or no parquet file"):
        read(path)
    path.write_text("words" * 1000)
    with pytest.raises(UserError, match="damaged, truncated or no parquet"):
        read(path)
