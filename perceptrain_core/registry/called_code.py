"""What a reference may name: code of the user or of a package, and no tool of the system.

A run file calls what it references with options of its own. ``os:system`` with a text would run a
shell, so such objects are refused before they are called.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from typing import Any

from perceptrain_core.errors import TargetError

#: Their functions read pickles, download and compile code; their classes are parts of runs.
_LIBRARIES = ("torch", "numpy", "pandas")
_COMPILED = (
    types.BuiltinFunctionType,
    types.ClassMethodDescriptorType,
    types.MethodDescriptorType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
)


def check_code(label: str, target: Any, kind: str = "") -> None:
    """Refuse what cannot be meant as a part of a run, without calling it.

    Args:
        label: What is referenced, for messages.
        target: The object that the reference names.
        kind: The kind of the part, ``"loss"``, if it has one.

    Raises:
        TargetError: It is compiled or of the standard library; or a function of torch, NumPy or
            pandas that is not a loss; or, as a model, a class that is not an ``nn.Module``.
    """
    if isinstance(target, functools.partial):  # its options were bound for this use
        return
    module = getattr(target, "__module__", None) or "builtins"
    package = module.partition(".")[0]
    is_routine = inspect.isroutine(target)
    found = ""
    if isinstance(target, _COMPILED):
        found = "a compiled function"
    elif package in sys.stdlib_module_names and (is_routine or package != "builtins"):
        found = "part of Python's standard library"
    elif is_routine and package in _LIBRARIES and kind != "loss":
        found = f"a function of {package}"
    elif kind == "model" and inspect.isclass(target) and not _is_module(target):
        found = "a class that is not a torch.nn.Module"
    if found:
        raise TargetError(
            f"{label} is {module}.{getattr(target, '__qualname__', target)}, {found}, and was not "
            "called: expected a class or a function of your own code, or of a package that offers "
            "parts of runs."
        )


def _is_module(target: type) -> bool:
    from torch import nn  # not for listings

    return issubclass(target, nn.Module)
