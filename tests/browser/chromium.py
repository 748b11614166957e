"""A headless Chromium that reaches nothing beside files, and what it says of a page."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OWN = ("file:", "data:", "blob:", "about:", "chrome:", "chrome-extension:", "devtools:")
"""What an address on this machine begins with."""


def obstacle() -> str | None:
    """Why no browser can be started here, or nothing."""
    if not any(map(shutil.which, BROWSERS)):
        return f"none of {', '.join(BROWSERS)} found: apt-get install chromium"
    if not shutil.which("chromedriver"):
        return "chromedriver not found: apt-get install chromium-driver"
    return None


class Chromium:
    """A browser for one test after the other.

    Args:
        folder: where it keeps what browsers keep.
    """

    def __init__(self, folder: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = next(filter(None, map(shutil.which, BROWSERS)))
        for flag in (
            "headless=new",
            "no-sandbox",  # which root in a container has not
            "disable-dev-shm-usage",
            "disable-gpu",
            "disable-background-networking",
            "disable-component-update",
            "no-first-run",
            "host-resolver-rules=MAP * ~NOTFOUND",
            f"user-data-dir={folder}",
        ):
            options.add_argument(f"--{flag}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = Service(shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_script_timeout(20)

    def open(self, page: Path, width: int = 1200) -> None:
        """Opens a file in a window of a width, CSS pixels; what was logged before is forgotten."""
        self.driver.get("about:blank")
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get(page.as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script of the page returns."""
        return self.driver.execute_script(script, *arguments)

    def errors(self, levels: Sequence[str] = ("SEVERE",)) -> list[str]:
        """What the console was told since it was last asked."""
        logged = self.driver.get_log("browser")
        return [entry["message"] for entry in logged if entry["level"] in levels]

    def requests(self) -> list[str]:
        """What other machines were asked for since this was last asked.

        What the page's own policy forbids is not asked for.
        """
        messages = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        told = {method: [] for method in ("Network.requestWillBeSent", "Network.loadingFailed")}
        for message in messages:
            told.get(message["method"], []).append(message["params"])
        asked, failed = told.values()
        forbidden = {one["requestId"] for one in failed if one.get("blockedReason") == "csp"}
        left = (one for one in asked if one["requestId"] not in forbidden)
        urls = [one["request"]["url"] for one in left]
        return [url for url in urls if not url.startswith(OWN)]

    def blank_images(self) -> list[str]:
        """The images of the page that are not drawn, or of one colour."""
        return list(self.driver.execute_async_script(_BLANK_IMAGES))

    def empty_tables(self) -> list[str]:
        """The tables of the page without a row that holds a word."""
        return list(self.run(_EMPTY_TABLES))

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(self.run("return document.documentElement.scrollWidth - innerWidth"))

    def close(self) -> None:
        """Ends it."""
        self.driver.quit()


_BLANK_IMAGES = """
const done = arguments[0];
function drawn(image) {
    if (!image.complete || !image.naturalWidth || !image.getBoundingClientRect().width) {
        return false;
    }
    const canvas = document.createElement("canvas");
    canvas.width = Math.min(400, image.naturalWidth);
    canvas.height = Math.max(1, Math.min(400, image.naturalHeight));
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    const bytes = context.getImageData(0, 0, canvas.width, canvas.height).data;
    const pixels = new Uint32Array(bytes.buffer);
    return pixels.some(pixel => pixel !== pixels[0]);
}
const images = [...document.images];
Promise.all(images.map(image => image.decode().catch(() => null))).then(
    () => done(
        images.filter(image => !drawn(image)).map(image => image.alt || image.src.slice(0, 80))
    )
);
"""
_EMPTY_TABLES = """
return [...document.querySelectorAll("table")].filter(
    table => ![...table.querySelectorAll("tbody tr td")].some(cell => cell.innerText.trim())
).map(table => table.innerText.slice(0, 80));
"""
