"""What a loss and a model can reach: the values that a call of the loss may read or change."""

from __future__ import annotations

import io
import random
import sys
import types
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import is_, itemgetter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from perceptrain_core.capturing import NotCapturable

_LIBRARIES = {"torch", "numpy", "scipy", "sklearn", "pandas", "builtins"}
_OWN = {"perceptrain", "perceptrain_core"}
_INTERNAL = vars(nn.Module()).keys() - {"training", "_parameters", "_buffers", "_modules"}
_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)
_FOLLOWED = nn.Module, dict, list, tuple, deque, partial, types.MethodType, types.FunctionType
_HAVE_ITEMS = dict, list, tuple, deque
_VALUES = int, float, complex, str, list, dict, Tensor, type(None)
_LONGEST = 1000
_STANDARD = sys.stdin, sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__


@dataclass(frozen=True)
class Place:
    """Where a value is: an item of a dict or list, an attribute, or a variable of a function.

    Args:
        container: The dict, list, tuple or closure's cell that the value is in; or an object.
        key: Its key or index, or the name of an attribute; ``None`` in a cell.
        value: The value that was found.
        state: Its state, if it is a random generator.
    """

    container: Any
    key: Any
    value: Any
    state: Any = None

    def read(self) -> Any:
        """Return the value that is there now."""
        return _read(self.container, self.key)

    def write(self, value: Any) -> None:
        """Put another value there."""
        if isinstance(self.container, types.CellType):
            self.container.cell_contents = value
        elif isinstance(self.container, dict | list | deque):
            self.container[self.key] = value
        else:
            setattr(self.container, self.key, value)


class Reach:
    """The places that some objects reach, with the values there at the moment.

    Attributes, items, closures, defaults and the global variables that functions name are followed;
    objects of libraries are not, except modules of torch. An object may have an attribute
    ``uncaptured``: names of attributes that do not matter to the results of its next call.

    Args:
        roots: The objects, by the names that messages give them.

    Attributes:
        places: By path, such as ``loss_fn.weights['a']``.
        hooks: The dicts that hold the hooks of modules.
    """

    def __init__(self, roots: Mapping[str, Any]) -> None:
        self.places: dict[str, Place] = {}
        self.hooks: list[Mapping[Any, Any]] = []
        self._whole: list[tuple[Any, Any]] = []
        self._ignored: list[str] = []
        seen: set[int] = set()
        pending = list(roots.items())
        while pending:
            path, owner = pending.pop()
            if id(owner) not in seen:
                seen.add(id(owner))
                pending += self._look_into(path, owner)

    def _look_into(self, path: str, owner: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(owner, nn.Module):
            self.hooks += [owner.__dict__[name] for name in _HOOKS]
        if isinstance(owner, dict | list | deque):
            self._whole.append((owner, owner.copy()))
        elif _has_attributes(owner):
            self._ignored += [f"{path}.{name}" for name in getattr(owner, "uncaptured", ())]
            self._whole.append((vars(owner), dict(vars(owner))))
        for name, container, key in _parts(path, owner):
            try:
                value = _read(container, key)
            except (ValueError, AttributeError):  # a variable that has no value yet
                continue
            self.places[name] = Place(container, key, value, _state(value))
            if _is_followed(value):
                yield name, value

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors by path."""
        return {n: p.value for n, p in self.places.items() if isinstance(p.value, Tensor)}

    def restore(self) -> None:
        """Put back every value that was there; the elements of tensors are not changed."""
        for container, content in self._whole:
            if isinstance(container, dict):
                if not _same_items(container, content):
                    container.clear()
                    container.update(content)
            elif len(container) != len(content) or not all(map(is_, container, content)):
                container.clear()
                container.extend(content)
        for place in self.places.values():
            if place.read() is not place.value:
                place.write(place.value)
            if place.state is not None and place.state != _state(place.value):
                _set_state(place.value, place.state)

    def changes_to(self, after: Reach) -> tuple[list[str], list[str], list[str]]:
        """Compare with a later look at the same objects.

        Returns:
            The paths of places that came or went, of tensors that were replaced by others, and of
            other values that changed.
        """
        ours, theirs = self.places, after.places
        paths = [*dict.fromkeys([*ours, *theirs])]
        paths = [p for p in paths if not (self._is_ignored(p) or after._is_ignored(p))]
        common = [path for path in paths if path in ours and path in theirs]
        replaced = [p for p in common if _is_replaced(ours[p].value, theirs[p].value)]
        changed = [p for p in common if p not in replaced and not _is_same(ours[p], theirs[p])]
        return [p for p in paths if not (p in ours and p in theirs)], replaced, changed

    def difference_from(self, now: Reach) -> str:
        """Return the path of a value that a graph takes as given and that is another now, or ""."""
        moved, replaced, changed = self.changes_to(now)
        fixed = [path for path in replaced if not _is_free(now.places[path].value)]
        return next(iter([*changed, *moved, *fixed]), "")

    def refuse_streams(self) -> None:
        """Check that no call can take values from a stream, or write to one.

        Raises:
            NotCapturable: There is an iterator or a file.
        """
        for path, place in self.places.items():
            if isinstance(place.value, Iterator | io.IOBase) and place.value not in _STANDARD:
                raise NotCapturable(f"the loss can reach {path}, an iterator or a file")

    def _is_ignored(self, path: str) -> bool:
        return any(path == n or path.startswith((f"{n}.", f"{n}[")) for n in self._ignored)

    def paths_of(self, tensor: Tensor) -> list[str]:
        """Return the paths of a tensor that is no parameter: others may take its places."""
        if not _is_free(tensor):
            return []
        return [path for path, place in self.places.items() if place.value is tensor]

    def guard(self) -> Guard:
        """Return a guard that notices when a value is replaced; see `paths_of` for tensors."""
        kept = [
            place
            for path, place in self.places.items()
            if not (_is_free(place.value) or self._is_ignored(path))
        ]
        return Guard(kept, self.hooks)


class Guard:
    """Notices when one of many values is replaced by another, at little cost.

    Args:
        places: The places with the values that are expected.
        hooks: Dicts that must be empty.
    """

    def __init__(self, places: Sequence[Place], hooks: list[Mapping[Any, Any]]) -> None:
        by_container: dict[int, list[Place]] = {}
        self._others: list[Place] = []
        for place in places:
            if isinstance(place.container, _HAVE_ITEMS):
                by_container.setdefault(id(place.container), []).append(place)
            else:
                self._others.append(place)
        self._hooks = hooks
        self._items = [
            (itemgetter(*[p.key for p in group]), group[0].container, _found(group))
            for group in by_container.values()
        ]

    def holds(self) -> bool:
        """Whether all values are still there."""
        try:
            for get, container, expected in self._items:
                if get(container) != expected:
                    return False
            for place in self._others:
                if (value := place.read()) is not place.value and value != place.value:
                    return False
        except (LookupError, AttributeError, ValueError, RuntimeError, TypeError):
            return False  # it is gone, or a tensor or an array was replaced
        return not any(self._hooks)


def _found(group: list[Place]) -> Any:
    return group[0].value if len(group) == 1 else tuple(place.value for place in group)


def _parts(path: str, owner: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield path, container and key of each part of an object."""
    if isinstance(owner, dict):
        if len(owner) <= _LONGEST:
            yield from ((f"{path}[{key!r}]", owner, key) for key in [*owner])
    elif isinstance(owner, list | tuple | deque):
        yield from ((f"{path}[{n}]", owner, n) for n in range(min(len(owner), _LONGEST)))
    elif isinstance(owner, partial):
        parts = {"func": owner.func, "args": owner.args, "keywords": owner.keywords}
        yield from ((f"{path}.{name}", parts, name) for name in parts)
    elif isinstance(owner, types.MethodType):
        parts = {"__self__": owner.__self__, "__func__": owner.__func__}
        yield from ((path if n == "__self__" else f"{path}.{n}", parts, n) for n in parts)
    elif isinstance(owner, types.FunctionType):
        yield from _variables(path, owner)
    else:
        parts = vars(owner) if _has_attributes(owner) else {}
        names = parts.keys() - _INTERNAL if isinstance(owner, nn.Module) else parts.keys()
        yield from ((f"{path}.{name}", parts, name) for name in sorted(names))
        yield from _of_class(path, owner)
        call = getattr(type(owner), "forward" if isinstance(owner, nn.Module) else "__call__", None)
        if isinstance(call, types.FunctionType):
            yield from _variables(path, call)


def _of_class(path: str, owner: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the slots of an object, and the variables of its classes."""
    for kind in type(owner).__mro__:
        if not _is_of(kind, _LIBRARIES | _OWN):
            for name, value in vars(kind).items():
                if isinstance(value, types.MemberDescriptorType):
                    yield f"{path}.{name}", owner, name
                elif isinstance(value, _VALUES) and not name.startswith("__"):
                    yield f"{kind.__name__}.{name}", kind, name


def _variables(path: str, function: types.FunctionType) -> Iterator[tuple[str, Any, Any]]:
    """Yield the variables of closures, the defaults, and the global variables of a function."""
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        yield f"the variable {name!r} of {function.__qualname__}", cell, None
    defaults = dict(enumerate(function.__defaults__ or ()))
    yield from ((f"{path}.__defaults__[{n}]", defaults, n) for n in defaults)
    options = function.__kwdefaults__ or {}
    yield from ((f"{path}.__kwdefaults__[{n!r}]", options, n) for n in options)
    if not _is_of(function, _LIBRARIES | _OWN):
        scope = function.__globals__
        for name in sorted(_names(code) & scope.keys()):
            yield f"the global variable {name!r} of {function.__module__}", scope, name


def _names(code: types.CodeType) -> set[str]:
    inner = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _is_followed(value: Any) -> bool:
    if isinstance(value, _FOLLOWED):
        return True
    if isinstance(value, type | types.ModuleType | Tensor) or _is_of(type(value), _LIBRARIES):
        return False
    return hasattr(value, "__dict__") or hasattr(type(value), "__slots__")


def _has_attributes(owner: Any) -> bool:
    """Whether the attributes of an object are its own parts."""
    others = *_HAVE_ITEMS, types.FunctionType, types.MethodType, partial
    return hasattr(owner, "__dict__") and not isinstance(owner, others)


def _is_of(thing: Any, libraries: set[str]) -> bool:
    return str(getattr(thing, "__module__", "builtins")).partition(".")[0] in libraries


def _read(container: Any, key: Any) -> Any:
    if isinstance(container, types.CellType):
        return container.cell_contents
    return container[key] if isinstance(container, _HAVE_ITEMS) else getattr(container, key)


def _is_free(value: Any) -> bool:
    return isinstance(value, Tensor) and not isinstance(value, nn.Parameter)


def _state(value: Any) -> Any:
    """Return the state of a random generator, ``None`` for anything else."""
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, torch.Generator):
        return value.get_state().tolist()
    return value.bit_generator.state if isinstance(value, np.random.Generator) else None


def _set_state(generator: Any, state: Any) -> None:
    if isinstance(generator, random.Random):
        generator.setstate(state)
    elif isinstance(generator, torch.Generator):
        generator.set_state(torch.tensor(state, dtype=torch.uint8))
    else:
        generator.bit_generator.state = state


def _same_items(container: dict[Any, Any], content: dict[Any, Any]) -> bool:
    return container.keys() == content.keys() and all(
        container[key] is value for key, value in content.items()
    )


def _is_replaced(before: Any, after: Any) -> bool:
    return isinstance(before, Tensor) and isinstance(after, Tensor) and before is not after


def _is_same(before: Place, after: Place) -> bool:
    if before.state != after.state:
        return False
    old, new = before.value, after.value
    if old is new or (_is_followed(old) and type(old) is type(new)):
        return True  # what is in it is compared by itself
    try:
        return type(old) is type(new) and bool(old == new)
    except (RuntimeError, ValueError):  # arrays
        return False
