"""Checks of an installed plugin as a whole."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn

from perceptrain_core.callbacks import Callback
from perceptrain_core.errors import RegistryError, UnknownNameError
from perceptrain_core.plurals import counted
from perceptrain_core.registry import Entry, Plugin, Registry, kind_of
from perceptrain_core.registry.messages import not_installed, one_line, sentence
from perceptrain_core.registry.options import check as check_signature
from perceptrain_core.registry.options import refuse_abstract
from perceptrain_core.registry.selection import BUILTIN_DISTRIBUTION, normalized
from perceptrain_core.testing.checks import Check, require
from perceptrain_core.testing.import_cost import check_light
from perceptrain_core.testing.settings import kept_settings, settings
from perceptrain_core.trackers.base import Tracker

T = TypeVar("T")

_LONGEST_SUMMARY = 100
_SHOWN = 3
_BASES = {"callback": Callback, "model": nn.Module, "tracker": Tracker, "weighting": nn.Module}
_OF_TORCH = ("the default dtype", "the default device", "the gradient mode")


def check_plugin(distribution: str) -> None:
    """Check that an installed plugin keeps the contract.

    The plugin must load without importing a heavy library. Its names must differ from the names of
    the built-ins and of other installed plugins, and each needs a summary. Targets must be
    importable and callable as their kind requires, and the names in ``__all__`` must be importable.

    Args:
        distribution: The name of the distribution, ``"perceptrain-robust"``.

    Raises:
        ConformanceError: A check failed; the message lists every fault.
        UnknownNameError: No such plugin is installed.
    """
    require(f"The plugin {distribution!r}", run_checks(distribution))


def run_checks(distribution: str) -> list[Check]:
    """Run the checks of `check_plugin`.

    Args:
        distribution: The name of the distribution.

    Returns:
        The result of each check. A plugin that does not load is not checked further.

    Raises:
        UnknownNameError: No such plugin is installed.
    """
    return [run() for run in InstalledPlugin(distribution).checks().values()]


class InstalledPlugin:
    """An installed plugin, its entries and its checks.

    Args:
        distribution: The name of the distribution.

    Attributes:
        registry: A new registry of all installed plugins.
        entries: The entries of all names that the plugin offers.

    Raises:
        UnknownNameError: No such plugin is installed.
    """

    def __init__(self, distribution: str) -> None:
        self.environ = dict(os.environ)  # before the plugin may change it
        self.distribution = normalized(distribution)
        self.registry = Registry()
        plugins = self.registry.plugins
        self.plugins = [p for p in plugins if p.distribution == self.distribution]
        if not self.plugins:
            raise UnknownNameError(_unknown(distribution, plugins))
        groups = (group for plugin in self.plugins for group in plugin.provides.values())
        self.entries: list[Entry] = [entry for group in groups for entry in group]
        self._owners = _owners(plugins, self.plugins)
        modules = [sys.modules.get(p.module.partition(":")[0]) for p in self.plugins]
        self._exports = [(m, name) for m in modules for name in getattr(m, "__all__", ())]

    def checks(self) -> dict[str, Callable[[], Check]]:
        """Return the checks by name; calling one runs it."""
        checks: dict[str, Callable[[], Check]] = {
            "is loaded": self._is_loaded,
            "imports lightly": lambda: check_light(self.distribution, self.environ),
        }
        if self.entries:
            for name, find in {
                "has names of its own": lambda entry: _name_fault(entry, self._owners),
                "has a summary for each name": _summary_fault,
                "has targets that can be imported": _import_fault,
            }.items():
                checks[name] = partial(_check, name, "name", self.entries, find)
            name = "has targets that can be called"
            checks[name] = partial(_check, name, "name", self.entries, _call_fault, _any_option)
        if self._exports:
            name = "has exports that can be imported"
            checks[name] = partial(_check, name, "export", self._exports, _export_fault)
        return checks

    def _is_loaded(self) -> Check:
        faults = [plugin.trouble for plugin in self.plugins if plugin.status != "ok"]
        if not self.entries and not faults:
            faults = ["its hooks offer nothing: return a list of Spec(name, target, summary)"]
        return Check("is loaded", tuple(faults), ", ".join(entry.name for entry in self.entries))


def _unknown(distribution: str, plugins: Iterable[Plugin]) -> str:
    installed = {plugin.distribution for plugin in plugins}
    return (
        f"{sentence(not_installed([distribution], installed))}\nA plugin is a distribution with an "
        "entry point in the group 'perceptrain'; install yours first, with pip install --editable."
    )


def _check(
    name: str,
    noun: str,
    subjects: list[T],
    find: Callable[[T], str | None],
    remark: Callable[[list[T]], str] = lambda subjects: "",
) -> Check:
    with kept_settings():
        faults = tuple(filter(None, map(find, subjects)))
        detail = counted(len(subjects), noun) + ("" if faults else remark(subjects))
    return Check(name, faults, detail)


def _any_option(entries: list[Entry]) -> str:
    """Return which names accept any option, so that the registry cannot refuse a misspelt one."""
    names = [
        entry.name
        for entry in entries
        if (signature := entry.signature())
        and any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    ]
    if not names:
        return ""
    return (
        f"; {', '.join(names[:_SHOWN])}{' and others' if names[_SHOWN:] else ''} accept any option "
        "(**): refuse misspelt ones there, or name the options"
    )


def _export_fault(export: tuple[Any, str]) -> str | None:
    module, name = export
    try:
        getattr(module, name)
    except Exception as error:
        return f"{module.__name__}.{name} cannot be imported: {one_line(error)}"
    return None


def _label(entry: Entry) -> str:
    return f"the {entry.kind} {entry.name!r}"


def _owners(plugins: Iterable[Plugin], own: list[Plugin]) -> dict[tuple[str, str], str]:
    """Map each name to another distribution that offers it; built-ins come first."""
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
    where = "the built-ins, which keep it" if builtin else f"{owner}, so neither keeps it"
    return (
        f"the name of {_label(entry)} is also in {where}: it is available only as "
        f"{entry.qualified_name!r}; choose another name"
    )


def _summary_fault(entry: Entry) -> str | None:
    length = len(entry.summary)
    if 0 < length <= _LONGEST_SUMMARY and entry.summary_lines == 1:
        return None
    found = f"a summary of {length} characters" if length else "no summary"
    if entry.summary_lines > 1:
        found = f"a summary of {entry.summary_lines} lines"
    return f"{_label(entry)} has {found}: write one line of at most {_LONGEST_SUMMARY} characters"


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
        return f"importing {_label(entry)} changes {', '.join(changed)} for the whole process"
    return None


def _call_fault(entry: Entry) -> str | None:
    """Return what is wrong with the signature, if anything."""
    try:
        target = entry.load()
    except RegistryError:  # reported by _import_fault
        return None
    if not callable(target):
        return f"{_label(entry)} is {type(target).__name__}: a class or a function was expected"
    if fault := _kind_fault(entry, target):
        return fault
    # Their values are unknown here, and an object of no type passes the check of values.
    required = {n: object() for n, p in entry.options().items() if p.default is p.empty}
    leading = kind_of(entry.kind).leading
    label = f"The {entry.kind} {entry.name!r}"
    try:
        refuse_abstract(label, target)
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
    """Return why a target looks like another kind, if it does."""
    signature = entry.signature()
    names = list(signature.parameters)[:2] if signature else []
    base = _BASES.get(entry.kind)
    if base is not None and isinstance(target, type) and not issubclass(target, base):
        return (
            f"{_label(entry)} is not a subclass of {base.__name__}: derive it from {base.__name__}"
        )
    if entry.kind != "loss" and names == ["batch", "model"]:
        return f"{_label(entry)} takes a batch and a model, as a loss does: offer it as a loss"
    if entry.kind == "loss" and names == ["model", "batch"]:
        return f"{_label(entry)} takes (model, batch): the batch comes first"
    if inspect.iscoroutinefunction(target):
        return f"{_label(entry)} is an async function: write a plain one"
    return None


def _objects_fault(label: str, target: type, leading: tuple[str, ...]) -> str | None:
    """Check that instances of a loss class can be called with a batch and a model."""
    call = next(_calls(target), None)
    if call is None:
        return f"{label} makes objects that cannot be called: write __call__(self, batch, model)"
    check_signature(label, call, ("self", *leading), {})
    return None


def _calls(target: type) -> Iterator[object]:
    # nn.Module.__call__ accepts anything and passes it to forward.
    name = "forward" if issubclass(target, nn.Module) else "__call__"
    return (vars(base)[name] for base in target.__mro__ if name in vars(base))
