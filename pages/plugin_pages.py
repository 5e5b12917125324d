"""docs/plugins/NAME.md: the README of each plugin of this repository, with its pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pages.files import ROOT, Files
from pages.first_party import FirstParty, first_party

_LINK = re.compile(r"(!?)\[([^]]*)\]\(([^)\s]+)\)")


def build() -> Files:
    """Return the page of each plugin, and copies of its pictures, which the site can reach."""
    found: Files = {}
    for plugin in first_party():
        found[f"docs/plugins/{plugin.name}.md"] = _LINK.sub(partial(_moved, plugin), plugin.readme)
        for path in _pictures(plugin):
            found[f"docs/plugins/{picture_name(plugin, path)}"] = (
                plugin.folder / path
            ).read_bytes()
    return found


def picture_name(plugin: FirstParty, path: str) -> str:
    """Return where the copy of a picture is, from the folder of the plugins' pages."""
    return f"pictures/{plugin.name}-{Path(path).name}"


def _pictures(plugin: FirstParty) -> Iterator[str]:
    for bang, _, target in _LINK.findall(plugin.readme):
        if bang and ":" not in target:
            yield target


def _moved(plugin: FirstParty, link: re.Match[str]) -> str:
    """Return a link of the README as the page needs it, or its text if the site lacks the file."""
    bang, text, target = link.groups()
    if ":" in target or target.startswith("#"):
        return link[0]
    if bang:
        return f"![{text}]({picture_name(plugin, target)})"
    path, hash_, anchor = target.partition("#")
    place = (plugin.folder / path).resolve()
    if place.is_relative_to(ROOT / "docs"):
        return f"[{text}](../{place.relative_to(ROOT / 'docs').as_posix()}{hash_}{anchor})"
    if place.name == "README.md" and place.parent.parent == ROOT / "plugins":
        return f"[{text}]({place.parent.name}.md{hash_}{anchor})"
    return str(text)
