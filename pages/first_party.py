"""The plugins of this repository, from their pyproject.toml files and what they register."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pages.files import ROOT, Files
from perceptrain_core.registry import KINDS, Entry, registry
from perceptrain_core.registry.selection import BUILTIN_DISTRIBUTION

_PICTURE = re.compile(r"!\[([^]]*)\]\((examples/[^)]+)\)")


class FirstParty(NamedTuple):
    """A plugin of this repository.

    Attributes:
        name: The name of its distribution.
        folder: Its folder.
        description: What it offers, in one sentence.
        requirements: What it requires, without Perceptrain itself.
        extras: The names of its optional dependencies.
        provides: Its entries by the plural of their kind.
        readme: The text of its README.
    """

    name: str
    folder: Path
    description: str
    requirements: list[str]
    extras: list[str]
    provides: Mapping[str, tuple[Entry, ...]]
    readme: str

    @property
    def picture(self) -> tuple[str, str] | None:
        """The first picture of the README: its text and its path in the folder."""
        found = _PICTURE.search(self.readme)
        return (found[1], found[2]) if found else None


@cache
def first_party() -> tuple[FirstParty, ...]:
    """Return all plugins of this repository, sorted by name; each must be installed."""
    files = sorted((ROOT / "plugins").glob("*/pyproject.toml"))
    return tuple(_read(file) for file in files)


def own_entries(kind: str) -> list[Entry]:
    """Return the entries of the built-ins and the plugins of this repository."""
    own = {BUILTIN_DISTRIBUTION, *(plugin.name for plugin in first_party())}
    return [e for e in registry().catalogue(kind).values() if e.distribution in own]


def data_file() -> Files:
    """Return the file of the package that says what the plugins offer without being installed."""
    facts = [
        {
            "distribution": plugin.name,
            "description": plugin.description,
            "provides": {
                kind: sorted(entry.name for entry in entries)
                for kind, entries in plugin.provides.items()
            },
        }
        for plugin in first_party()
    ]
    return {"perceptrain_core/registry/available.json": json.dumps(facts, indent=1) + "\n"}


def _read(file: Path) -> FirstParty:
    project = tomllib.loads(file.read_text())["project"]
    name = project["name"]
    found = [plugin for plugin in registry().plugins if plugin.distribution == name]
    if not found or any(plugin.status != "ok" for plugin in found):
        raise LookupError(f"{name} is not installed, or did not load: run 'make setup'")
    provides: dict[str, tuple[Entry, ...]] = {}
    for plugin in found:
        for kind, entries in plugin.provides.items():
            provides[kind] = (*provides.get(kind, ()), *entries)
    needs = [each for each in project["dependencies"] if not each.startswith("perceptrain-core")]
    return FirstParty(
        name=name,
        folder=file.parent,
        description=project["description"],
        requirements=needs,
        extras=[extra for extra in project.get("optional-dependencies", {}) if extra != "test"],
        provides={k.plural: provides[k.plural] for k in KINDS if k.plural in provides},
        readme=(file.parent / "README.md").read_text(),
    )
