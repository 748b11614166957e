"""Where each result lies."""

from tessera.config.paths import Paths


def test_one_folder_a_stage_and_one_a_variant(changed):
    """Relative to the folder of all results."""
    paths = Paths(changed({"results": "out/run"}))
    assert paths.card("stage1", "cond") == "out/run/stage1/cond/card.json"
    assert paths.card("data", "digits") == "out/run/shards/digits/card.json"
    assert paths.pair("evaluations", "digits", "vq") == "out/run/evaluations/digits/vq.json"


def test_parts_are_counted_in_their_names(changed):
    """Another number of parts never mixes in."""
    paths = Paths(changed())
    assert paths.cards("samplings", "vq") == [
        "results/samplings/vq/part-0000-of-0002.json",
        "results/samplings/vq/part-0001-of-0002.json",
    ]
    assert paths.cards("tokens", "codes", "validation") == [
        "results/tokens/codes/validation/part-0000-of-0001.json"
    ]


def test_no_more_parts_than_shards(changed):
    """A part reads whole shards, so that some would be empty."""
    config = changed({"execution.tokens.parts": 9})
    paths = Paths(config)
    assert paths.parts("tokens", "semantic") == 2
    assert paths.parts("tokens", "shapes") == 1
    assert len(paths.shards("digits", "train")) == 2
    assert paths.shards("digits", "train")[1] == "results/shards/digits/train-00001-of-00002.tar"


def test_what_is_read_in_place_is_not_packed(changed, tmp_path):
    """A folder gives lists of its files; files of many images give nothing, and one part each."""
    for name in ("train-0", "train-1", "train-2", "val-0"):
        (tmp_path / f"{name}.tar").touch()
    tars = {"kind": "webdataset", "train": f"{tmp_path}/train-*.tar"}
    config = changed(
        {
            "data.shapes.in_place": True,
            "data.shapes.image_size": None,
            "data.tars": tars | {"validation": f"{tmp_path}/val-*.tar"},
            "views.tars": {"data": "tars", "crop": 32},
            "tokens.tars": {"views": "tars", "codebook": "k8"},
            "execution.tokens.parts": 9,
        }
    )
    paths = Paths(config)
    assert paths.shards("shapes", "train") == ["results/shards/shapes/train-00000-of-00001.tsv"]
    assert paths.shards("tars", "train") == []
    assert (paths.parts("tokens", "tars"), paths.parts("tokens", "tars", "validation")) == (3, 1)
