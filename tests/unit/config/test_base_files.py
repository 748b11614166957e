"""`base`: which files a config is made of."""

import pytest

from tessera.config.load import chain, load
from tessera.errors import UserError


@pytest.fixture
def write(tmp_path):
    """A function that writes a file below the temporary folder and returns its path."""

    def file(name: str, text: str):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return file


def test_without_base_files_lie_over_each_other(write):
    """As Snakemake lays them."""
    files = [write("config.yaml", "title: a"), write("b.yaml", "title: b")]
    assert chain(files) == files


def test_a_base_replaces_what_was_given_before(write):
    """It is found beside the file that names it, wherever the command runs."""
    default = write("config.yaml", "title: a")
    base = write("configs/common.yaml", "base: null\ntitle: common")
    recipe = write("configs/recipe.yaml", "base: common.yaml\ntitle: recipe")
    mine = write("mine.yaml", "base: configs/recipe.yaml\ntitle: mine")
    assert [p.resolve() for p in chain([default, mine])] == [base, recipe, mine]


def test_a_file_after_a_base_is_laid_over_it(write):
    """Two overlays: a recipe and one's own changes."""
    default = write("config.yaml", "title: a")
    recipe = write("recipe.yaml", "base: null\ntitle: recipe")
    over = write("over.yaml", "title: over")
    assert chain([default, recipe, over]) == [recipe, over]


def test_several_bases_lie_over_each_other(write):
    """What two of them are based on is there once, below both; given again, they are the same."""
    common = write("configs/common.yaml", "base: null\ntitle: common")
    one = write("configs/one.yaml", "base: common.yaml\ntitle: one")
    middle = write("configs/middle.yaml", "base: common.yaml\ntitle: middle")
    two = write("configs/two.yaml", "base: middle.yaml\ntitle: two")
    plain = write("configs/plain.yaml", "title: plain")
    paper = write("paper.yaml", "base: [configs/one.yaml, configs/../configs/two.yaml, "
                  "configs/plain.yaml]\nlog_every: 1")  # fmt: skip
    found = chain([paper])
    assert [path.resolve() for path in found] == [common, one, middle, two, plain, paper]
    assert chain(found) == found
    over = write("over.yaml", "title: over")
    assert chain(chain([paper, over])) == [*found, over]


def test_base_is_no_setting(write, text):
    """And a chain read again gives the same files: launch and jobs agree."""
    write("whole.yaml", f"base: null\n{text}")
    over = write("over.yaml", "base: whole.yaml\ntitle: over")
    assert load([over]).title == "over"
    assert chain(chain([over])) == chain([over])


def test_overrides_lie_over_all_files(write, text):
    """Those of the command line."""
    whole = write("whole.yaml", f"base: null\n{text}")
    assert load([whole], {"title": "called"}).title == "called"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("base: me.yaml", "me.yaml is based on itself in a circle"),
        ("base: other.yaml", "other.yaml does not exist"),
        ("base: 3", "me.yaml: base must be the name of a config file, a list of them, or null"),
        ("base: [other.yaml, 3]", "me.yaml: base must be the name of a config file, a list"),
    ],
)
def test_a_wrong_base_is_named(write, content, message):
    """Before any job."""
    with pytest.raises(UserError, match=message):
        chain([write("me.yaml", content)])
