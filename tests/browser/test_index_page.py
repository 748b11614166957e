"""The index page, as a reader meets it."""

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from tessera.report.outputs import figure_names, table_names
from tessera.report.pictures.catalogue import pictures

pytestmark = pytest.mark.browser


@pytest.fixture
def page(run) -> Path:
    return run.results / "index.html"


def test_everything_is_drawn(browser, run, page):
    """Each figure and picture has a size and more than one colour, each table has rows."""
    browser.open(page)
    shown = len(figure_names(run.config)) + len(pictures(run.config))
    assert browser.run("return document.images.length") == shown
    assert not browser.blank_images()
    tables = browser.run("return document.querySelectorAll('table').length")
    assert tables == len(table_names(run.config)) - 2  # two are too long to be read
    assert not browser.empty_tables()


def test_each_category_is_reached(browser, page):
    """A click in the contents brings its heading into the window."""
    browser.open(page)
    links = browser.run("return [...document.querySelectorAll('nav > ul > li > a')]")
    assert len(links) == 8
    for link in links:
        link.click()
        top = browser.run(
            "return document.querySelector(location.hash).getBoundingClientRect().top"
        )
        height = browser.run("return innerHeight")
        assert 0 <= round(top) < height
        said = browser.run("return document.querySelector(location.hash + ' h2').innerText")
        assert said == link.text


def test_it_is_quiet(browser, page):
    """Nothing is asked of another machine, and the console stays empty."""
    browser.open(page)
    assert browser.run("return document.title") == "Digits & <b>letters</b>"
    assert not browser.requests()
    assert not browser.errors(("SEVERE", "WARNING"))


@pytest.mark.parametrize("width", [400, 700, 1400])
def test_it_fits_its_window(browser, page, width):
    """A phone shows it without scrolling sideways; wide tables scroll in their own boxes."""
    browser.open(page, width)
    assert browser.overflow() <= 0
    assert browser.run("return innerWidth") == width


@pytest.mark.parametrize(("table", "column"), [("generation", 1), ("conditional", 2)])
def test_a_row_keeps_its_name(browser, page, table, column):
    """However far a wide table is scrolled, the column that names the rows is seen."""
    browser.open(page, 820)
    scrolled, left = browser.run(
        """
        const box = document.querySelector(`#table-${arguments[0]} .wide`);
        box.scrollLeft = 1e6;
        const cell = box.querySelector(`tbody td:nth-child(${arguments[1]})`);
        return [
            box.scrollLeft, cell.getBoundingClientRect().left - box.getBoundingClientRect().left
        ];
        """,
        table,
        column,
    )
    assert scrolled > 100
    assert 0 <= round(left) <= 1


def test_paper_shows_what_a_click_would(browser, page):
    """The notes on how to read a table are closed on a screen, and printed."""
    browser.open(page)
    heights = "return [...document.querySelectorAll('details')].map(note => note.offsetHeight)"
    closed = browser.run(heights)
    assert max(closed) < 40  # a line
    try:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        assert not browser.run("return document.querySelector('summary').offsetHeight")
        printed = browser.run(heights)
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert len(printed) == len(closed)
    assert min(printed) > 0


FAULTS = {
    "a damaged image": ("blank_images", "iVBORw0KGgo", "AAAAAAAAAAA"),
    "an empty box": ("blank_images", None, None),
    "a table without rows": ("empty_tables", "<tbody>", "<tbody></tbody><tfoot>"),
    "a script that fails": ("errors", "</body>", "<script>none()</script></body>"),
    "an image from elsewhere": (
        "requests", "</body>", "<img src='http://example.org/a.png' alt=''></body>",
    ),
    "a word too long": ("overflow", "<h1>", f"<pre>{'x' * 900}</pre><h1>"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(browser, page, tmp_path, fault):
    """Each of the questions above has another answer for a page that is broken so."""
    question, old, new = FAULTS[fault]
    text = page.read_text(encoding="utf-8")
    if old is None:
        start = text.index("data:image/png;base64,")
        old = text[start : text.index('"', start)]
        empty = io.BytesIO()
        Image.new("RGB", (600, 400), "white").save(empty, format="PNG")
        new = f"data:image/png;base64,{base64.b64encode(empty.getvalue()).decode()}"
    broken = tmp_path / "index.html"
    # The page forbids scripts and foreign images: the browser would never ask for them.
    policy = text[text.index("<meta http-equiv") : text.index('<link rel="icon"')]
    broken.write_text(text.replace(policy, "").replace(old, new, 1), encoding="utf-8")
    browser.open(broken, 400)
    found = getattr(browser, question)()
    assert found if isinstance(found, list) else found > 0


def test_the_page_forbids_what_it_does_not_need(browser, page, tmp_path):
    """A script that came in with a label would not run, and an image would not be fetched."""
    text = page.read_text(encoding="utf-8")
    stranger = "<script>document.title = 'run'</script><img src='http://example.org/a.png' alt=''>"
    changed = tmp_path / "index.html"
    changed.write_text(text.replace("</body>", f"{stranger}</body>"), encoding="utf-8")
    browser.open(changed)
    assert browser.run("return document.title") == "Digits & <b>letters</b>"
    assert not browser.requests()
