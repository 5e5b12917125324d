"""Every page in a real browser, on a wide screen and on a phone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from .conftest import CHROMIUM

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]

WIDTHS = (1280, 390)
# What a reader would see at once: text outside of the window, and pictures that did not load.
FAULTS = """
() => {
  const faults = [];
  const wide = document.documentElement.scrollWidth - window.innerWidth;
  if (wide > 0) faults.push(`the page is ${wide} pixels wider than the window`);
  for (const image of document.images)
    if (!image.complete || image.naturalWidth === 0) faults.push(`no picture at ${image.src}`);
  if (document.querySelectorAll("h1").length !== 1) faults.push("not one heading of level 1");
  return faults;
}
"""


def test_every_page_is_sound_at_both_widths(browser: Any, site: Path, address: str) -> None:
    page = browser.new_page()
    noise: list[str] = []
    page.on("console", lambda message: noise.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: noise.append(f"error: {error}"))
    page.on("request", lambda request: _note_request(request.url, address, noise))
    page.on("response", lambda got: got.status < 400 or noise.append(f"{got.status}: {got.url}"))
    found = {}
    for path in sorted(site.rglob("index.html")):
        place = path.parent.relative_to(site).as_posix()
        page.goto(f"{address}{'' if place == '.' else place + '/'}", wait_until="load")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            if faults := page.evaluate(FAULTS) + noise:
                found[place, width] = faults
            noise.clear()
    page.close()
    assert found == {}


def test_the_search_finds_a_loss(browser: Any, address: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(address)
    page.get_by_role("button", name="Search").first.click()
    page.get_by_role("combobox", name="Search").fill("grad_weighted")
    page.get_by_text(re.compile(r"\d+ results")).wait_for()
    page.get_by_text("GradWeightedLoss").first.wait_for()
    page.close()


def test_the_dark_scheme_is_dark(browser: Any, address: str) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto(address)
    background = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    assert max(page.evaluate(background)[:3]) < 60
    page.close()


def _note_request(url: str, address: str, noise: list[str]) -> None:
    if not url.startswith((address, "data:", "blob:")):
        noise.append(f"request: {url}")
