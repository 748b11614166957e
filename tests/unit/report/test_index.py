"""The page that shows everything, and the list of what it shows."""

import base64
import io
import platform
import re
import shutil
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image
from tests.unit.report.conftest import RAW, SWEPT, FakeRun
from tests.unit.report.whole import command, report, write_config

from tessera.config.load import validate
from tessera.io.cards import read_card
from tessera.report.outputs import CATEGORIES, figure_names, table_names
from tessera.report.page import LARGEST, Shown, page, within
from tessera.report.pictures.catalogue import pictures
from tessera.report.render import parts_of_page, to_html
from tessera.report.table import Column, Table
from tessera.stages import index

TITLE = "Digits <b>& more</b>"


class Read(HTMLParser):
    """What a page holds: its tags with their attributes, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def reported(tmp_path_factory) -> FakeRun:
    """A finished run with its page; tests must leave it as it is."""
    run = FakeRun(tmp_path_factory.mktemp("reported"), SWEPT).all()
    report(run, title=TITLE)
    return run


@pytest.fixture(scope="module")
def text(reported) -> str:
    return (reported.results / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def read(text) -> Read:
    return Read(text)


def test_the_page_shows_everything(reported, read):
    """Every table with its rows, every figure and picture, under the categories in their order."""
    config = reported.config
    anchors = [tag["id"] for tag in read.all("figure")]
    drawn = [f"figure-{name}" for name in figure_names(config)]
    seen = [f"picture-{number}" for number in range(len(pictures(config)))]
    assert sorted(anchors) == sorted(
        [f"table-{name}" for name in table_names(config)] + drawn + seen
    )
    assert len(read.all("img")) == len(drawn) + len(seen)
    headings = [name for name in CATEGORIES if name in read.words]
    assert headings == list(CATEGORIES)
    for number in ("22.2K", "0.9688", "9.123"):  # parameters, accuracy, a distance
        assert number in read.words


def test_the_page_needs_nothing_else(text, read):
    """Images are part of it, and there is no script; links lead to files beside it."""
    assert not read.all("script")
    assert not read.all("iframe")
    assert not re.search(r"https?://|@import|url\(", text)
    for image in read.all("img"):
        content = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"))
        assert content.startswith(b"\x89PNG")
        assert len(image["alt"]) > 20
    assert [link["href"] for link in read.all("link")] == ["data:,"]


def test_links_lead_somewhere(reported, read):
    """Within the page, or to a file of the run."""
    anchors = {tag["id"] for _, tag in read.tags if "id" in tag}
    files = set()
    for link in read.all("a"):
        if link["href"].startswith("#"):
            assert link["href"][1:] in anchors
        else:
            files.add(unquote(link["href"]))
            assert (reported.results / unquote(link["href"])).stat().st_size
    made = {f"tables/{name}.{kind}" for name in table_names(reported.config) for kind in ("csv",)}
    made |= {f"figures/{name}.pdf" for name in figure_names(reported.config)}
    assert files > made


def test_no_two_entries_of_the_contents_are_alike(text):
    """A table and a figure of one title are told apart; a title of its own stays as it is."""
    contents = text.partition("<nav")[2].partition("</nav>")[0]
    entries = re.findall(r'<a href="#[^"]*">([^<]+)</a>', contents)
    assert len(entries) == len(set(entries))
    assert {"Ablation (table)", "Ablation (figure)", "Sweeps"} <= set(entries)


def test_texts_of_the_config_are_texts(read):
    """Title and labels are shown as they are, whatever signs they hold."""
    assert TITLE in read.words
    assert "Samples: 50 % noise_1 & more" in read.words
    assert not read.all("b")


def test_the_page_says_what_the_run_was(reported, read):
    """From the cards: devices and versions, each once."""
    assert f"the cards of {len(reported.files)} jobs" in read.words
    told = dict(index.facts(reported.collection()))
    assert all(value in read.words for value in told.values())
    devices = {card.run["device"] for card in reported.collection().cards}
    assert told["Devices"] == " and ".join(sorted(devices))
    assert told["Python"] == platform.python_version()
    assert f"numpy {np.__version__}" in told["Packages"].split(", ")


def test_equal_cards_give_equal_bytes(reported, tmp_path):
    """The page holds no date and no random name; its card names what it shows."""
    shutil.copytree(reported.folder, tmp_path / "copy")
    page = tmp_path / "copy/results/index.html"
    before = page.read_bytes()
    again = FakeRun(tmp_path / "copy", SWEPT)
    again.files = [tmp_path / "copy" / file.relative_to(reported.folder) for file in reported.files]
    page.unlink()
    page.with_suffix(".json").unlink()
    assert index.main(command(again, tmp_path / "copy/config.json")) == 0
    assert page.read_bytes() == before
    card = read_card(page.with_suffix(".json"), "index")
    assert list(card["outputs"]) == ["index.html"]
    assert card["inputs"].keys() == {
        *("tables/card.json", "figures/card.json"),
        *(file.relative_to(reported.results).as_posix() for file in reported.files),
    }
    assert card["results"]["pictures"] == len(pictures(reported.config))


def test_an_altered_picture_is_refused(reported, tmp_path, capfd):
    """The page shows no picture that its card does not vouch for."""
    shutil.copytree(reported.folder, tmp_path / "copy")
    run = FakeRun(tmp_path / "copy", SWEPT)
    run.files = [tmp_path / "copy" / file.relative_to(reported.folder) for file in reported.files]
    picture = run.results / pictures(run.config)[0].file
    content = bytearray(picture.read_bytes())
    content[-20] ^= 1
    picture.write_bytes(content)
    (run.results / "index.json").unlink()
    assert index.main(command(run, write_config(run))) == 1
    assert "is damaged (its SHA-256 differs)" in capfd.readouterr().err
    assert not (run.results / "index.json").exists()


def test_a_wide_picture_is_embedded_smaller():
    """Grids of large images would make the page tens of megabytes; small ones stay as they are."""
    noise = np.random.default_rng(0).integers(0, 256, (300, 3000, 3), dtype=np.uint8)
    large, small = png(noise), png(noise[:, :LARGEST])
    assert Image.open(io.BytesIO(within(large))).size == (LARGEST, 132)
    assert within(small) == small


def png(pixels: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="PNG")
    return content.getvalue()


def test_everything_but_tables_is_escaped():
    """Also what no config should hold."""
    shown = Shown(
        "<h2>", "table", "<i>", "table-x", "One <script>.", {"<u>": "a%22b"}, table="<table>"
    )
    text = page("<h1>", [("<dt>", "<dd>")], {"<h2>": [shown], "empty": []})
    read = Read(text.partition("<body>")[2])
    assert {tag for tag, _ in read.tags} & {"i", "u", "script"} == set()
    assert len(read.all("table")) == 1
    assert "One <script>." in read.words
    assert "empty" not in read.words


def test_a_table_is_taken_from_its_page():
    """Its caption, and the table alone."""
    table = Table("one", "A & B", [Column("a", "</body>")], [{"a": "<td>"}])
    caption, markup = parts_of_page(to_html(table))
    assert caption == "A &amp; B"
    assert re.match(r"<table>\s*<thead>", markup)
    assert markup.endswith("</table>")
    assert "&lt;td&gt;" in markup


def swept(values: dict[str, object]) -> list[str]:
    """Titles of the pictures of samples where the set `vq` is swept."""
    config = validate(
        RAW | {"samplings": RAW["samplings"] | {"vq": RAW["samplings"]["vq"] | {"sweep": values}}}
        | {"evaluations": {}}
    )  # fmt: skip
    return [one.file for one in pictures(config) if one.section == "samplings"]


def test_points_of_a_sweep_are_left_out_but_the_first_seed():
    """Sixteen grids that look alike would bury the others."""
    assert swept({"semantic.top_k": [1, 2, 3]}) == [
        "samplings/cond_ar/grid.png", "samplings/cond_nar/grid.png",
    ]  # fmt: skip
    assert swept({"seed": [4, 5, 6]})[2:] == ["samplings/vq_seed_4/grid.png"]
    assert len(swept({"seed": [1, 2], "semantic.top_k": [1, 2]})) == 2
