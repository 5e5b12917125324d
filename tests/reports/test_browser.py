"""The page in a real browser, which is skipped where chromium is not installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from perceptrain_core.reports.page import write_report

from .conftest import METRICS, TABLES

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

LONG = "a_very_long_name_without_a_break_" * 4
CONTRAST = """
() => {
  const rgb = (text) => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith("color(srgb") ? numbers.map((v) => v * 255) : numbers;
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = rgb(getComputedStyle(e).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return null;
  };
  const ratio = (element, property) => {
    const [one, two] = [rgb(getComputedStyle(element)[property]), behind(element)].map(light);
    return (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
  };
  const texts = [...document.querySelectorAll("h1, h2, h3, p, li, dt, dd, th, td, summary, .tick")];
  const lines = [...document.querySelectorAll(".line")];
  return [texts.map((e) => ratio(e, "color")), lines.map((e) => ratio(e, "stroke"))];
}
"""

SIZES = """
() => [...document.querySelectorAll("svg")].map((e) => e.getBoundingClientRect())
  .map((box) => [box.width, box.height])
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Open a file; whatever the console says and every request but the file fails the test."""
    said: list[str] = []
    contexts = []

    def visit(path: Path, width: int = 1440, scheme: str = "light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda request: said.append(request.url))
        page.goto(path.as_uri())
        assert said.pop(0) == path.as_uri()
        return page

    yield visit
    for context in contexts:
        context.close()
    assert said == []


@pytest.fixture
def pages(make_run):
    """One run with everything, and a comparison."""
    predictions = "truth,prediction,probability_a,probability_b\na,a,0.9,0.1\nb,a,0.6,0.4\n"
    tables = TABLES | {LONG: {LONG: LONG}}
    one = make_run("one", tables=tables, test={f"test_{LONG}": 0.5}, predictions__csv=predictions)
    regression = "truth,prediction\n1,1.5\n2,1.75\n3,nan\n"
    eight = [make_run(f"{LONG[:30]}{i}", predictions__csv=regression) for i in range(8)]
    return write_report([one]), write_report(eight, one / "comparison.html")


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1440, "dark")])
def test_it_fits_and_can_be_read(open_page, pages, width, scheme):
    backgrounds = set()
    for path in pages:
        page = open_page(path, width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        boxes = page.evaluate(SIZES)
        assert len(boxes) >= 2
        assert all(across > 200 and down > 150 for across, down in boxes)
        texts, lines = page.evaluate(CONTRAST)
        assert min(texts) >= 4.5
        assert min(lines) >= 3
        backgrounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert backgrounds == {"rgb(18, 21, 26)" if scheme == "dark" else "rgb(246, 247, 249)"}


@pytest.mark.slow
def test_values_are_shown_at_the_pointer_and_with_keys(open_page, pages):
    page = open_page(pages[0])
    plot = page.locator(".plot").first
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 0.36 * box["width"], box["y"] + 50)
    assert plot.locator(".readout").inner_text().split() == [
        "epoch",
        "2",
        "train:",
        "0.5",
        "val:",
        "0.75",
    ]
    page.mouse.move(0, 0)
    assert plot.locator(".readout").count() == 0
    plot.focus()
    page.keyboard.press("ArrowRight")
    assert "epoch 3" in plot.locator(".readout").inner_text()
    page.keyboard.press("Escape")
    assert plot.locator(".readout").count() == 0


def test_without_scripts_the_curves_are_there(browser, pages):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(pages[0].as_uri())
    assert page.locator("path.line").count() >= 4
    context.close()


@pytest.mark.slow
def test_names_of_a_stranger_run_nothing(open_page, make_run):
    evil = "</script></style><img src=http://localhost/x onerror=alert(1)><script>alert(2)</script>"
    tables = TABLES | {"loss": {evil: evil}, evil: evil, "provenance": {evil: {"name": evil}}}
    metrics = METRICS.replace("val_accuracy", f"val_{evil}")
    predictions = f"truth,prediction\n{evil},b\nb,b\n"
    run = make_run("x", metrics, tables, {f"test_{evil}": 1.0}, predictions__csv=predictions)
    page = open_page(write_report([run]))
    assert page.locator("img").count() == 0
    assert page.locator("h3").filter(has_text=evil).count() == 1


@pytest.mark.slow
def test_all_is_printed_in_black_on_white(open_page, pages):
    page = open_page(pages[1], scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert page.locator("details:not([open])").count() == 0
