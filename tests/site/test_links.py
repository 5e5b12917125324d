"""Every link and picture of the built site leads to something in it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest


class _Page(HTMLParser):
    """Collects what a page links to, what it loads, and its anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value for name, value in attrs if value}
        self.anchors.add(found.get("id", ""))
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
        elif tag in ("img", "script", "source") and "src" in found:
            self.loaded.add(found["src"])
        elif tag == "link" and found.get("rel") in ("stylesheet", "icon"):
            self.loaded.add(found["href"])


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, _Page]:
    return {path: _Page(path) for path in site.rglob("*.html") if path.name != "404.html"}


@pytest.mark.slow
def test_links_and_pictures_lead_somewhere(site: Path, pages: dict[Path, _Page]) -> None:
    assert len(pages) > 20
    dead = [
        f"{path.relative_to(site)}: {link}"
        for path, page in pages.items()
        for link in page.links | page.loaded
        if not urlsplit(link).scheme and not _leads_somewhere(path, link, pages)
    ]
    assert dead == []


@pytest.mark.slow
def test_pages_load_nothing_from_elsewhere(pages: dict[Path, _Page]) -> None:
    for path, page in pages.items():
        assert [link for link in page.loaded if urlsplit(link).scheme] == [], path


def _leads_somewhere(path: Path, link: str, pages: dict[Path, _Page]) -> bool:
    address, anchor = urldefrag(link)
    target = (path.parent / unquote(address)).resolve() if address else path
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return False
    return not anchor or target not in pages or unquote(anchor) in pages[target].anchors
