"""Snakemake's own report of the workflow, as a reader meets it."""

from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from tests.browser.chromium import Chromium

from tessera.report.outputs import CSV_ONLY, category, figure_names, table_names, title
from tessera.report.pictures.catalogue import pictures

pytestmark = pytest.mark.browser


@pytest.fixture
def opened(browser, snakemakes) -> Chromium:
    """The report, open at its menu."""
    browser.open(snakemakes)
    wait(browser, "return !!document.querySelector('#app li')")
    return browser


def wait(browser: Chromium, condition: str) -> None:
    """Waits until a script returns true."""
    WebDriverWait(browser.driver, 20).until(lambda _: browser.run(condition))


def rows(browser: Chromium, name: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The results of a category, as the menu lists them: labels, and what is clicked."""
    browser.run("app.setView({navbarMode: 'menu'})")
    wait(browser, f"return document.querySelector('#app').innerText.includes({name!r})")
    (item,) = (
        link
        for link in browser.driver.find_elements(By.CSS_SELECTOR, "#app li a")
        if link.text == name
    )
    item.click()
    wait(browser, "return !!document.querySelector('#app tbody tr')")
    for row in browser.driver.find_elements(By.CSS_SELECTOR, "#app tbody tr"):
        *labels, actions = row.find_elements(By.TAG_NAME, "td")
        button = actions.find_element(By.CSS_SELECTOR, "a")
        yield tuple(label.text for label in labels), button


def expected(run) -> dict[str, set[tuple[str, str]]]:
    """Category → what it lists: the result, and as what."""
    found: dict[str, set[tuple[str, str]]] = {}
    for name in table_names(run.config):
        for form in ("csv",) if name in CSV_ONLY else ("Table", "csv"):
            found.setdefault(category("table", name), set()).add((title("table", name), form))
    for name in figure_names(run.config):
        found.setdefault(category("figure", name), set()).add((title("figure", name), "Figure"))
    for picture in pictures(run.config):
        found.setdefault(category("picture", picture.section), set()).add(
            (picture.title, "Picture")
        )
    return found


def test_the_categories_list_everything(opened, run):
    """Under the same categories as the index page, each result once, with its caption."""
    names = expected(run)
    assert set(opened.run("return Object.keys(categories)")) == set(names)
    listed = opened.run("return Object.values(results)")
    assert sorted((one["labels"]["result"], one["labels"]["as"]) for one in listed) == sorted(
        pair for pairs in names.values() for pair in pairs
    )
    assert all(one["caption"].startswith("<p>") for one in listed)


def test_each_result_is_seen(opened, run):
    """Every figure and picture is drawn, every table has rows, category by category."""
    driver = opened.driver
    for name, results in expected(run).items():
        seen = set()
        for labels, button in rows(opened, name):
            # Where each table is there twice, a switch stands above in place of a column.
            form = labels[1] if len(labels) > 1 else "Table"
            seen.add((labels[0], form))
            if form == "csv":
                continue  # a download
            button.click()
            if form == "Table":
                wait(opened, "return !!document.querySelector('iframe')")
                driver.switch_to.frame(driver.find_element(By.TAG_NAME, "iframe"))
                wait(opened, "return !!document.querySelector('tbody tr')")
                assert not opened.empty_tables(), labels
                driver.switch_to.default_content()
            else:
                wait(opened, "return document.images.length > 0")
                assert not opened.blank_images(), labels
        tables = {pair for pair in results if pair[1] == "Table"}
        assert seen in (results, tables), name


def test_it_opens_offline_and_is_quiet(opened):
    """Its programs are part of it: nothing is asked of another machine, no error is logged."""
    opened.run("app.setView({content: 'rulegraph'})")
    wait(opened, "return !!document.querySelector('#app canvas, #app svg.marks')")
    assert not opened.requests()
    assert not opened.errors()
