"""`Catalogue`: all names of one kind, as a mapping."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from perceptrain_core.errors import AmbiguousNameError, UnknownNameError
from perceptrain_core.registry.available import where_to_get
from perceptrain_core.registry.messages import listed
from perceptrain_core.registry.selection import BUILTIN_DISTRIBUTION, normalized
from perceptrain_core.suggestions import did_you_mean

if TYPE_CHECKING:
    from perceptrain_core.registry.entries import Entry
    from perceptrain_core.registry.kinds import Kind
    from perceptrain_core.registry.plugins import Plugin

_TROUBLES_SHOWN = 10


class Catalogue(Mapping[str, "Entry"]):
    """All entries of one kind by name.

    Iteration yields each entry once, sorted: under its short name where that is unambiguous, under
    its qualified name otherwise. Look-up accepts both.

    Args:
        kind: The kind of the entries.
        entries: The entries.
        plugins: All plugins; the error for an unknown name lists those that did not load.
    """

    def __init__(self, kind: Kind, entries: Iterable[Entry], plugins: Iterable[Plugin]) -> None:
        self._kind = kind
        self._plugins = plugins
        self._qualified = {entry.qualified_name: entry for entry in entries}
        same_name: dict[str, list[Entry]] = {}
        for entry in self._qualified.values():
            same_name.setdefault(entry.name, []).append(entry)
        self._ambiguous = {}
        self._short = {}
        for name, candidates in same_name.items():
            owner = _owner(candidates)
            if owner is None:
                self._ambiguous[name] = candidates
            else:
                self._short[name] = owner
        shown = {
            entry.name if self._short.get(entry.name) is entry else qualified: entry
            for qualified, entry in self._qualified.items()
        }
        self._shown = {name: shown[name] for name in sorted(shown)}

    def __iter__(self) -> Iterator[str]:
        return iter(self._shown)

    def __len__(self) -> int:
        return len(self._shown)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._find(name) is not None

    def __getitem__(self, name: str) -> Entry:
        entry = self._find(name)
        if entry is not None:
            return entry
        if name in self._ambiguous:
            raise AmbiguousNameError(self._ambiguous_message(name))
        raise UnknownNameError(self._unknown_message(name))

    def __repr__(self) -> str:
        return f"Catalogue({self._kind.plural}: {', '.join(self._shown)})"

    def _find(self, name: str) -> Entry | None:
        entry = self._short.get(name) or self._qualified.get(name)
        if entry is None and "/" in name:
            distribution, _, short = name.rpartition("/")
            entry = self._qualified.get(f"{normalized(distribution)}/{short}")
        return entry

    def _ambiguous_message(self, name: str) -> str:
        names = " or ".join(repr(entry.qualified_name) for entry in self._ambiguous[name])
        return f"Several plugins offer a {self._kind.singular} {name!r}: write {names}."

    def _unknown_message(self, name: str) -> str:
        known = self._qualified if "/" in name else {**self._shown, **self._ambiguous}
        installed = {plugin.distribution for plugin in self._plugins}
        hint = where_to_get(self._kind.plural, name, installed)
        lines = [
            f"There is no {self._kind.singular} {name!r}."
            f"{hint or did_you_mean(name, known) + _reference_hint(name)}",
            f"Known {self._kind.plural}: {listed(self._shown)}.",
        ]
        troubles = [plugin.trouble for plugin in self._plugins if plugin.status != "ok"]
        lines += troubles[:_TROUBLES_SHOWN]
        if len(troubles) > _TROUBLES_SHOWN:
            more = len(troubles) - _TROUBLES_SHOWN
            lines.append(f"{more} more plugins failed or are blocked: run 'perceptrain plugins'.")
        return "\n".join(lines)


def _owner(candidates: list[Entry]) -> Entry | None:
    """Return the entry that a short name stands for: the only one, or the built-in."""
    if len(candidates) == 1:
        return candidates[0]
    return next((e for e in candidates if e.distribution == BUILTIN_DISTRIBUTION), None)


def _reference_hint(name: str) -> str:
    if name.endswith(".py"):
        return f" To refer to a class or function in a file, write '{name}:NAME'."
    module, dot, attribute = name.rpartition(".")
    return f" To refer to an attribute of a module, write '{module}:{attribute}'." if dot else ""
