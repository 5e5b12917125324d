"""Plugins of this project that may be installed: what they offer, from a file of the package."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

_FILE = Path(__file__).with_name("available.json")  # written by `make pages`


class Available(NamedTuple):
    """A known plugin, installed or not.

    Attributes:
        distribution: The name of its distribution.
        description: What it offers, in one sentence.
        provides: Its names by the plural of their kind.
    """

    distribution: str
    description: str
    provides: Mapping[str, list[str]]


def available(installed: Collection[str]) -> list[Available]:
    """Return the known plugins that are not installed.

    Args:
        installed: The distributions of installed plugins, including those that failed to load.
    """
    import json  # only needed for an error or a listing

    known = [Available(**plugin) for plugin in json.loads(_FILE.read_text(encoding="utf-8"))]
    return [plugin for plugin in known if plugin.distribution not in installed]


def where_to_get(plural: str, name: str, installed: Collection[str]) -> str:
    """Return which plugin has an unknown name, as a sentence with a leading space; else nothing.

    Args:
        plural: The plural of the kind.
        name: A short or qualified name.
        installed: The distributions of installed plugins, including those that failed to load.
    """
    distribution, _, short = name.rpartition("/")
    owners = [
        plugin.distribution
        for plugin in available(installed)
        if short in plugin.provides.get(plural, ()) and distribution in ("", plugin.distribution)
    ]
    if not owners:
        return ""
    commands = "; or ".join(how_to_install(owner) for owner in owners)
    return f" {short!r} is in {' and '.join(owners)}: {commands}."


def how_to_install(distribution: str, version: str | None = None) -> str:
    """Return the command that installs a plugin.

    Args:
        distribution: Its name. The known plugins are also in a clone of this project.
        version: The version to install of a plugin that is not known.
    """
    if distribution in (plugin.distribution for plugin in available(())):
        return f"pip install {distribution}, or from a clone: pip install ./plugins/{distribution}"
    return f"pip install {distribution}{f'=={version}' if version else ''}"
