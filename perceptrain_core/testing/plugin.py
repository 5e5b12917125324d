"""Does an installed plugin keep the contract?"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn

from perceptrain_core.callbacks import Callback
from perceptrain_core.errors import RegistryError, UnknownNameError
from perceptrain_core.registry import Entry, Plugin, Registry, kind_of
from perceptrain_core.registry.messages import not_installed, sentence
from perceptrain_core.registry.options import check as check_signature
from perceptrain_core.registry.selection import BUILTIN_DISTRIBUTION, normalised
from perceptrain_core.testing.checks import Check, require
from perceptrain_core.testing.import_cost import check_light
from perceptrain_core.testing.settings import kept_settings, settings
from perceptrain_core.trackers.base import Tracker

_LONGEST_SUMMARY = 100
_BASES = {"callback": Callback, "model": nn.Module, "tracker": Tracker, "weighting": nn.Module}
_OF_TORCH = ("the default dtype", "the default device", "the gradient mode")


def check_plugin(distribution: str) -> None:
    """Check that an installed plugin keeps the contract.

    It loads, imports no heavy library for that, has names that neither a built-in nor another
    installed plugin has and a summary for each, and targets that can be imported and called in the
    way of their kind.

    Args:
        distribution: The name of the distribution, ``"perceptrain-robust"``.

    Raises:
        ConformanceError: It does not; the message lists every fault.
        UnknownNameError: No such plugin is installed.
    """
    require(f"The plugin {distribution!r}", run_checks(distribution))


def run_checks(distribution: str) -> list[Check]:
    """Run the checks of `check_plugin`.

    Args:
        distribution: The name of the distribution.

    Returns:
        What each check found. A plugin that cannot be loaded is not checked further.

    Raises:
        UnknownNameError: No such plugin is installed.
    """
    environ = dict(os.environ)  # before the plugin may change it
    plugins = Registry().plugins
    name = normalised(distribution)
    own = [plugin for plugin in plugins if plugin.distribution == name]
    if not own:
        raise UnknownNameError(_unknown(distribution, plugins))
    entries = [entry for plugin in own for group in plugin.provides.values() for entry in group]
    checks = [_check_loaded(own, entries), check_light(name, environ)]
    if not entries:
        return checks
    taken = _owners(plugins, own)
    with kept_settings():
        targets = {entry: _import_fault(entry) for entry in entries}
    loaded = [entry for entry, fault in targets.items() if fault is None]
    return [
        *checks,
        _check("has names of its own", entries, (_name_fault(e, taken) for e in entries)),
        _check("has a summary for each name", entries, map(_summary_fault, entries)),
        _check("has targets that can be imported", entries, targets.values()),
        _check("has targets that can be called", loaded, map(_call_fault, loaded)),
    ]


def _unknown(distribution: str, plugins: Iterable[Plugin]) -> str:
    installed = {plugin.distribution for plugin in plugins}
    return (
        f"{sentence(not_installed([distribution], installed))}\nA plugin is a distribution with an "
        "entry point in the group 'perceptrain'; install yours first, with pip install --editable."
    )


def _check(name: str, entries: Iterable[Entry], faults: Iterable[str | None]) -> Check:
    found = tuple(filter(None, faults))
    number = len(list(entries))
    return Check(name, found, f"{number} {'name' if number == 1 else 'names'}")


def _check_loaded(plugins: list[Plugin], entries: list[Entry]) -> Check:
    faults = [plugin.trouble for plugin in plugins if plugin.status != "ok"]
    if not entries and not faults:
        faults = ["its hooks offer nothing: return a list of Spec(name, target, summary)"]
    return Check("is loaded", tuple(faults), ", ".join(entry.name for entry in entries))


def _label(entry: Entry) -> str:
    return f"the {entry.kind} {entry.name!r}"


def _owners(plugins: Iterable[Plugin], own: list[Plugin]) -> dict[tuple[str, str], str]:
    """Which other distribution has each name; the built-ins come first, and keep theirs."""
    owners: dict[tuple[str, str], str] = {}
    if any(plugin.distribution == BUILTIN_DISTRIBUTION for plugin in own):
        return owners
    for plugin in plugins:
        if plugin not in own:
            for name in plugin.names():
                owners.setdefault(name, plugin.distribution)
    return owners


def _name_fault(entry: Entry, owners: dict[tuple[str, str], str]) -> str | None:
    owner = owners.get((kind_of(entry.kind).plural, entry.name))
    if owner is None:
        return None
    builtin = owner == BUILTIN_DISTRIBUTION
    whose = "a built-in, which keeps it" if builtin else f"one of {owner}, and neither has it then"
    return (
        f"{_label(entry)} has the name of {whose}: it can be reached as "
        f"{entry.qualified_name!r} only; choose another name"
    )


def _summary_fault(entry: Entry) -> str | None:
    length = len(entry.summary)
    if 0 < length <= _LONGEST_SUMMARY:
        return None
    seen = f"a summary of {length} characters" if length else "no summary"
    return f"{_label(entry)} has {seen}: write one line of at most {_LONGEST_SUMMARY} characters"


def _import_fault(entry: Entry) -> str | None:
    before, random = settings(), torch.get_rng_state()
    try:
        entry.load()
    except RegistryError as error:
        return str(error)
    now = settings()
    changed = [name for name in _OF_TORCH if now[name] != before[name]]
    if not torch.equal(random, torch.get_rng_state()):
        torch.set_rng_state(random)
        changed.append("the random numbers of torch")
    if changed:
        return f"importing {_label(entry)} changes {', '.join(changed)}, for the whole process"
    return None


def _call_fault(entry: Entry) -> str | None:
    """What is wrong with the signature, as ``get_loss`` and its likes would find it."""
    target = entry.load()
    if not callable(target):
        return f"{_label(entry)} is {type(target).__name__}: a class or a function was expected"
    if fault := _kind_fault(entry, target):
        return fault
    required = {n: None for n, p in entry.options().items() if p.default is p.empty}
    leading = kind_of(entry.kind).leading
    label = f"The {entry.kind} {entry.name!r}"
    try:
        if entry.kind != "loss":
            check_signature(label, target, leading, required)
        elif not isinstance(target, type):
            call = target.forward if isinstance(target, nn.Module) else target
            check_signature(label, call, leading, required)
        else:
            check_signature(label, target, (), required)
            return _objects_fault(label, target, leading)
    except RegistryError as error:
        return str(error)
    return None


def _kind_fault(entry: Entry, target: Any) -> str | None:
    """What shows at a glance that a target is of another kind."""
    signature = entry.signature()
    names = list(signature.parameters)[:2] if signature else []
    base = _BASES.get(entry.kind)
    if base is not None and isinstance(target, type) and not issubclass(target, base):
        return f"{_label(entry)} is a class that is no {base.__name__}: derive it from that"
    if entry.kind != "loss" and names == ["batch", "model"]:
        return f"{_label(entry)} takes a batch and a model, as a loss does: offer it as a loss"
    if entry.kind == "loss" and names == ["model", "batch"]:
        return f"{_label(entry)} takes (model, batch): the batch comes first"
    if inspect.iscoroutinefunction(target):
        return f"{_label(entry)} is an async function: write a plain one"
    return None


def _objects_fault(label: str, target: type, leading: tuple[str, ...]) -> str | None:
    """The objects of a class are what is called with a batch and a model."""
    call = next(_calls(target), None)
    if call is None:
        return f"{label} makes objects that cannot be called: write __call__(self, batch, model)"
    check_signature(label, call, ("self", *leading), {})
    return None


def _calls(target: type) -> Iterator[object]:
    # nn.Module.__call__ takes anything and hands it to forward.
    name = "forward" if issubclass(target, nn.Module) else "__call__"
    return (vars(base)[name] for base in target.__mro__ if name in vars(base))
