"""What a loss and a model can reach: the values that a call of the loss may read or change."""

from __future__ import annotations

import io
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from operator import is_
from types import FunctionType
from typing import Any

from torch import Tensor, nn

from perceptrain_core.capture.changed_line import changed_line
from perceptrain_core.capture.guard import Guard
from perceptrain_core.capture.parts import has_attributes, is_followed, parts_of
from perceptrain_core.capture.place import Place, read, state_of
from perceptrain_core.capturing import NotCapturable

_HOOKS = "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"
_GLOBAL_HOOKS = [
    hooks
    for name, hooks in vars(nn.modules.module).items()
    if "_hooks" in name and isinstance(hooks, dict)
]
#: Modules with objects whose state can neither be seen nor restored.
_UNSEEN = {"_contextvars", "_queue", "ctypes", "mmap", "multiprocessing", "socket", "sqlite3"}
_STANDARD = sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__


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
        self._roots = roots
        self.places: dict[str, Place] = {}
        self.hooks: list[Mapping[Any, Any]] = [*_GLOBAL_HOOKS]
        self._whole: list[tuple[Any, Any]] = []
        self._ignored: list[str] = []
        self._found: dict[int, str] = {}  # where each object was looked into
        pending = list(roots.items())
        while pending:
            path, owner = pending.pop()
            if id(owner) not in self._found:
                self._found[id(owner)] = path
                pending += self._look_into(path, owner)

    def _look_into(self, path: str, owner: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(owner, nn.Module):
            self.hooks += [hooks for name in _HOOKS if not _is_of_torch(hooks := vars(owner)[name])]
        if isinstance(owner, dict | list | deque):
            self._whole.append((owner, owner.copy()))
        elif has_attributes(owner):
            names = getattr(type(owner), "uncaptured", ()) or vars(owner).get("uncaptured", ())
            self._ignored += [f"{path}.{name}" for name in names]
            self._whole.append((vars(owner), dict(vars(owner))))
        for name, container, key in parts_of(path, owner):
            try:
                value = read(container, key)
            except (ValueError, AttributeError):  # a variable that has no value yet
                continue
            self.places[name] = Place(container, key, value, state_of(value))
            if is_followed(value):
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
            place.restore()

    def changes_to(self, after: Reach) -> tuple[list[str], list[str], list[str]]:
        """Compare with a later look at the same objects.

        Returns:
            The paths of places that came or went, of tensors that were replaced by others, and of
            other values that changed.
        """
        ours, theirs = self.places, after.places
        paths = [*dict.fromkeys([*ours, *theirs])]
        paths = [p for p in paths if not (self._is_ignored(p) or after._is_ignored(p))]
        moved, replaced, changed = [], [], []
        for path in paths:
            if path not in ours or path not in theirs:
                moved.append(path)
            elif _is_replaced(ours[path].value, theirs[path].value):
                replaced.append(path)
            elif not self._is_same(ours[path], after, theirs[path]):
                changed.append(path)
        return moved, replaced, changed

    def shown(self, path: str) -> str:
        """Return the path of a value that changed, with the line of the code that changes it."""
        parent = path.partition("[")[0].rpartition(".")[0]
        place = self.places.get(parent)
        owners = [place.value] if place else [*self._roots.values()]
        return path + next(filter(None, (changed_line(path, each) for each in owners)), "")

    def difference_from(self, now: Reach) -> str:
        """Return the path of a value that a graph takes as given and that is another now, or ""."""
        if any(now.hooks):
            return "a hook of a module"
        moved, replaced, changed = self.changes_to(now)
        fixed = [path for path in replaced if not now.places[path].is_free]
        return next(iter([*changed, *moved, *fixed]), "")

    def refuse_streams_and_hooks(self) -> None:
        """Check that no call can take values from a stream, or write to one, or run a hook.

        Raises:
            NotCapturable: There is an iterator, a file, a hook, or an object of `_UNSEEN`.
        """
        if any(self.hooks):
            raise NotCapturable("a module has a hook")
        for path, place in self.places.items():
            if isinstance(place.value, Iterator | io.IOBase) and place.value not in _STANDARD:
                raise NotCapturable(f"the loss can reach {path}, an iterator or a file")
            if type(place.value).__module__.partition(".")[0] in _UNSEEN:
                kind = type(place.value).__name__
                raise NotCapturable(f"the loss can reach {path}, a {kind}, which a call may change")

    def _is_same(self, old: Place, after: Reach, new: Place) -> bool:
        if old.state != new.state:
            return False
        if old.value is new.value:
            return True
        if type(old.value) is not type(new.value):
            return False
        if isinstance(old.value, FunctionType) and old.value.__code__ is not new.value.__code__:
            return False
        if is_followed(old.value):  # what is in it is compared by itself, where it was looked into
            return self._found.get(id(old.value)) == after._found.get(id(new.value))
        try:
            return bool(old.value == new.value)
        except (RuntimeError, ValueError):  # arrays
            return False

    def _is_ignored(self, path: str) -> bool:
        return any(path == n or path.startswith((f"{n}.", f"{n}[")) for n in self._ignored)

    def paths_of(self, tensor: Tensor) -> list[str]:
        """Return the paths of a tensor whose places others may take; a parameter has none."""
        return [path for path, p in self.places.items() if p.value is tensor and p.is_free]

    def guard(self) -> Guard:
        """Return a guard that notices when a value is replaced; see `paths_of` for tensors."""
        kept = [
            place
            for path, place in self.places.items()
            if not (place.is_free or self._is_ignored(path))
        ]
        return Guard(kept, [container for container, _ in self._whole], self.hooks)


def _is_of_torch(hooks: Mapping[Any, Any]) -> bool:
    """Whether all hooks are torch's own, such as that of a spectral norm."""
    kinds = [type(hook) if not hasattr(hook, "__module__") else hook for hook in hooks.values()]
    return bool(kinds) and all(str(kind.__module__).startswith("torch.") for kind in kinds)


def _same_items(container: dict[Any, Any], content: dict[Any, Any]) -> bool:
    return container.keys() == content.keys() and all(
        container[key] is value for key, value in content.items()
    )


def _is_replaced(before: Any, after: Any) -> bool:
    return isinstance(before, Tensor) and isinstance(after, Tensor) and before is not after
