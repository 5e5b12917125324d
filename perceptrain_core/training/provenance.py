"""The distributions and versions that supplied the parts of a run."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from perceptrain_core.losses.supervised import SupervisedLoss
from perceptrain_core.losses.weighted import WeightedLoss
from perceptrain_core.registry import registry
from perceptrain_core.registry.discovery import requirements
from perceptrain_core.version import __version__

Provenance = dict[str, dict[str, Any]]


def provenance(parts: Mapping[str, Any]) -> Provenance:
    """Return the distribution and version that supplied each part found by name.

    Args:
        parts: The parts of a run, by role: "model", "loss" and so on.

    Returns:
        For each part that was found by name, and each such object inside a part ("model.nn",
        "loss.loss_fn"): its qualified name, distribution and version.
    """
    weighted = parts.get("loss")
    if isinstance(weighted, WeightedLoss) and registry().origin(weighted) is None:
        parts = {**parts, "loss": weighted.loss_fn, "weighting": weighted.weighting}
    found: Provenance = {}
    for part, item in parts.items():
        for path, thing in _inside(item):
            entry = registry().origin(thing)
            if entry is not None:
                found.setdefault(f"{part}.{path}" if path else part, entry.provenance())
    return found


def versions(found: Provenance) -> dict[str, str]:
    """Return the versions that a run depends on.

    Args:
        found: The provenance of its parts.

    Returns:
        The versions of Python, torch and this library, of each plugin that supplied a part, and of
        the requirements of these plugins.
    """
    own = {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "perceptrain-core": __version__,
    }
    plugins = {
        entry["distribution"]: entry["version"]
        for entry in found.values()
        if entry.get("version") and entry["distribution"] not in own
    }
    below = {name: v for plugin in plugins for name, v in requirements(plugin).items()}
    return below | plugins | own


def _inside(item: Any) -> Iterator[tuple[str, Any]]:
    """Yield a part and everything inside it, each with its path."""
    yield "", item.criterion if isinstance(item, SupervisedLoss) else item
    for path, thing in item.named_modules() if isinstance(item, nn.Module) else [("", item)]:
        if path:
            yield path, thing
        for name, value in _held(thing):
            yield ".".join(filter(None, (path, name))), value


def _held(thing: Any) -> Iterator[tuple[str, Any]]:
    own = thing.keywords if isinstance(thing, partial) else getattr(thing, "__dict__", {})
    for name, value in own.items():
        yield name, value
        if not name.startswith("_"):  # the private dicts of nn.Module, already covered
            several = value.items() if isinstance(value, dict) else ()
            for key, each in enumerate(value) if isinstance(value, list | tuple) else several:
                yield f"{name}.{key}", each
