"""The parts of an object that a call of it can read or change."""

from __future__ import annotations

import sys
import threading
import types
import weakref
from argparse import Namespace
from collections import UserDict, UserList, deque
from collections.abc import Iterator
from enum import Enum
from functools import partial
from queue import Queue
from typing import Any

from torch import Tensor, nn

from perceptrain_core.capture.place import HAVE_ITEMS

_LIBRARIES = {"torch", "numpy", "scipy", "sklearn", "pandas", "builtins"}
_STANDARD = {*sys.stdlib_module_names} - {"__main__"}
_OTHERS = {*_LIBRARIES, *_STANDARD, "perceptrain", "perceptrain_core"}
_HOLDERS = (
    *(types.SimpleNamespace, Namespace, UserDict, UserList, Queue, threading.local),
    *(weakref.WeakKeyDictionary, weakref.WeakValueDictionary, weakref.WeakSet),
)
#: Modules of torch whose objects have a state that a loss may change.
_STATEFUL = "torch.optim.", "torch.distributions.", "torch.quasirandom"
#: What a loss reaches if it reaches the trainer, and what changes while a step is captured.
_OF_THE_RUN = {"perceptrain_core.training.fit", "perceptrain_core.training.step_loop"}
_INTERNAL = vars(nn.Module()).keys() - {"training", "_parameters", "_buffers", "_modules"}
_FOLLOWED = nn.Module, *HAVE_ITEMS, partial, types.MethodType, types.FunctionType
_FUNCTIONS = types.FunctionType, staticmethod
_LONGEST = 20_000

#: The path of a part, the container that it is in, and its key there.
Part = tuple[str, Any, Any]


def parts_of(path: str, owner: Any) -> Iterator[Part]:
    """Yield the parts of an object.

    Attributes and items; of a function closure, defaults, and the global variables that it names;
    of an object also the variables of its class, and those that its methods name.

    Args:
        path: The name of the object in messages.
        owner: The object, which `is_followed`.
    """
    if isinstance(owner, dict):
        if len(owner) <= _LONGEST:
            yield from ((f"{path}[{_shown(n, key)}]", owner, key) for n, key in enumerate([*owner]))
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
    elif isinstance(owner, type):
        yield from _of_class(path, owner)
    else:
        internal = _INTERNAL if isinstance(owner, nn.Module) else set()
        names = vars(owner).keys() - internal if has_attributes(owner) else set()
        yield from ((f"{path}.{name}", vars(owner), name) for name in sorted(names))
        for kind in type(owner).__mro__:
            slots = vars(kind).items() if not _is_of(kind, _LIBRARIES) else ()
            for name, value in slots:
                if isinstance(value, types.MemberDescriptorType):
                    yield f"{path}.{name}", owner, name
            yield from _of_class(path, kind)


def is_followed(value: Any) -> bool:
    """Whether the parts of a value are looked at."""
    if isinstance(value, _FOLLOWED):
        return True
    if isinstance(value, type):
        return not _is_of(value, _OTHERS)
    if isinstance(value, Tensor):
        return bool(vars(value))
    if isinstance(value, types.ModuleType) or type(value).__module__ in _OF_THE_RUN:
        return False
    if _is_of(type(value), _STANDARD | _LIBRARIES) and not _is_holder(value):
        return hasattr(value, "__wrapped__")
    return hasattr(value, "__dict__") or hasattr(type(value), "__slots__")


def _is_holder(value: Any) -> bool:
    """Whether an object of a library has parts that a loss may change."""
    return isinstance(value, _HOLDERS) or type(value).__module__.startswith(_STATEFUL)


def _shown(number: int, key: Any) -> str:
    """Return a key as paths show it; the text of other objects may change with their values."""
    return repr(key) if isinstance(key, str | int | float | tuple | Enum) else f"key {number}"


def has_attributes(owner: Any) -> bool:
    """Whether the attributes of an object are its own parts."""
    others = *HAVE_ITEMS, types.FunctionType, types.MethodType, partial, type
    return hasattr(owner, "__dict__") and not isinstance(owner, others)


def _of_class(path: str, kind: type) -> Iterator[Part]:
    """Yield the variables of a class, and those that its methods name."""
    if _is_of(kind, _LIBRARIES):
        return
    for name, value in [*vars(kind).items()]:
        if isinstance(value, property) and isinstance(value.fget, types.FunctionType):
            yield from _variables(f"{path}.{name}", value.fget)
        function = getattr(value, "__func__", value)  # of a class method, or a static one
        if isinstance(function, types.FunctionType):
            yield from _variables(f"{path}.{name}", function)
        plain = isinstance(value, _FUNCTIONS) or not hasattr(type(value), "__get__")
        if plain and not name.startswith("__") and not _is_of(kind, _OTHERS):
            yield f"{kind.__name__}.{name}", kind, name


def _variables(path: str, function: types.FunctionType) -> Iterator[Part]:
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        yield f"the variable {name!r} of {function.__qualname__}", cell, None
    defaults = dict(enumerate(function.__defaults__ or ()))
    yield from ((f"{path}.__defaults__[{n}]", defaults, n) for n in defaults)
    yield from ((f"{path}.{n}", vars(function), n) for n in sorted(vars(function)))
    options = function.__kwdefaults__ or {}
    yield from ((f"{path}.__kwdefaults__[{n!r}]", options, n) for n in options)
    if _is_of(function, _OTHERS):
        return
    scope, names = function.__globals__, _names(code)
    for name in sorted(names & scope.keys()):
        value = scope[name]
        if isinstance(value, types.ModuleType):
            yield from _of_module(name, value, names)
        else:
            yield f"the global variable {name!r} of {function.__module__}", scope, name


def _of_module(path: str, module: types.ModuleType, names: set[str]) -> Iterator[Part]:
    """Yield the variables of a module of the user that have one of the names: settings.alpha."""
    if _is_library(module):
        return
    for name in sorted(names & vars(module).keys()):
        value = vars(module)[name]
        if isinstance(value, types.ModuleType):
            if value is not module:
                yield from _of_module(f"{path}.{name}", value, names - {name})
        else:
            yield f"{path}.{name}", vars(module), name


def _names(code: types.CodeType) -> set[str]:
    inner = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _is_of(thing: Any, libraries: set[str]) -> bool:
    return str(getattr(thing, "__module__", "builtins")).partition(".")[0] in libraries


def _is_library(module: types.ModuleType) -> bool:
    file = getattr(module, "__file__", None) or ""
    return module.__name__.partition(".")[0] in _OTHERS or "site-packages" in file
