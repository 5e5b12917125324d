"""Every page in a real browser on a phone, and one of each kind on a wide screen."""

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

PHONE, SCREEN = ({"width": width, "height": 900} for width in (390, 1280))
# One page of each kind: all have the same scripts and the same frame.
KINDS = ("", "configuration/", "gallery/burgers/", "reference/losses/")
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
# Shows the text of another page in the frame of this one, with its pictures.
SHOW = """
async (address) => {
  const text = await (await fetch(address)).text();
  const other = new DOMParser().parseFromString(text, "text/html");
  document.querySelector("base")?.remove();
  document.head.prepend(Object.assign(document.createElement("base"), {href: address}));
  document.querySelector("article").replaceWith(other.querySelector("article"));
  for (const image of document.images) image.loading = "eager";
  await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
}
"""


@pytest.mark.slow
def test_every_page_fits_a_phone(browser: Any, site: Path, address: str) -> None:
    """What is too wide for a screen is so here, too; all pages have the same frame."""
    page, noise = _listened_to(browser, address, viewport=PHONE, java_script_enabled=False)
    page.goto(address, wait_until="load")
    found = {}
    for path in sorted(site.rglob("index.html")):
        place = path.parent.relative_to(site).as_posix()
        page.evaluate(SHOW, f"{address}{'' if place == '.' else place + '/'}")
        if faults := page.evaluate(FAULTS) + noise:
            found[place] = faults
        noise.clear()
    page.close()
    assert found == {}


@pytest.mark.slow
def test_a_page_of_each_kind_is_sound_with_its_scripts(browser: Any, address: str) -> None:
    page, noise = _listened_to(browser, address, viewport=SCREEN)
    for place in KINDS:
        page.set_viewport_size(SCREEN)
        page.goto(address + place, wait_until="load")
        assert page.evaluate(FAULTS) == []
        page.set_viewport_size(PHONE)
        assert page.evaluate(FAULTS) == []
        assert noise == [], place
    page.close()


@pytest.mark.slow
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


def _listened_to(browser: Any, address: str, **options: Any) -> tuple[Any, list[str]]:
    """Open a page, and list what it prints, what fails, and what it asks others for."""
    page = browser.new_page(**options)
    noise: list[str] = []
    page.on("console", lambda message: noise.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: noise.append(f"error: {error}"))
    page.on("request", lambda request: _note_request(request.url, address, noise))
    page.on("response", lambda got: got.status < 400 or noise.append(f"{got.status}: {got.url}"))
    return page, noise


def _note_request(url: str, address: str, noise: list[str]) -> None:
    if not url.startswith((address, "data:", "blob:")):
        noise.append(f"request: {url}")
