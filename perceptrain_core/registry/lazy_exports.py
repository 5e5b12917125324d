"""Exports of a light package: ordinary imports that run when a name is first used."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import resolve_name
from operator import attrgetter
from threading import RLock
from types import ModuleType
from typing import Any

from perceptrain_core.errors import InvalidSpecError

#: Held while ``__import__`` is replaced, so that two threads restore it in the right order.
_REPLACING = RLock()


class LazyReference(str):
    """The value of a lazy export inside its package: ``"package.module:attribute"``.

    It is a string, so a `Spec` accepts it as a target. Its attributes are references too.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> LazyReference:
        if name.startswith("__"):
            raise AttributeError(name)
        return LazyReference(f"{self}.{name}")

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Raise an error: a name is not imported yet where it is a reference."""
        name = self.partition(":")[2]
        raise InvalidSpecError(
            f"{name}() cannot be called here: {name!r} is imported when it is first used. As the "
            f"target of a Spec, write {name} without parentheses; its users pass the options."
        )

    def load(self) -> Any:
        """Import the module, and return the attribute."""
        module, _, attribute = self.partition(":")
        return attrgetter(attribute)(import_module(module))


class _Exports(list[str]):
    """The value of ``__all__``, if `lazy_exports` has set it."""


class _LazyModule(ModuleType):
    """A module whose lazy exports are imported when they are accessed from outside."""

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        return value.load() if isinstance(value, LazyReference) else value


class _Placeholder:
    """Replaces the module in ``from module import name``; its attributes are references."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> LazyReference:
        return LazyReference(f"{self._module}:{name}")


@contextmanager
def lazy_exports(package: str) -> Iterator[None]:
    """Make the imports in a ``with`` block lazy, and export their names from a package.

    Use it in the ``__init__.py`` of a plugin, which must not import torch. Type checkers and
    editors see ordinary imports; ``as`` marks a name as exported, which `mypy --strict` requires:

        with lazy_exports(__name__):
            from perceptrain_robust.losses.cauchy import CauchyLoss as CauchyLoss

        @hookimpl
        def perceptrain_losses() -> list[Spec]:
            return [Spec("cauchy", CauchyLoss, "Cauchy loss, robust to outliers.")]

    Accessing ``perceptrain_robust.CauchyLoss`` imports its module and returns the class. Inside the
    package's ``__init__.py`` the name is a reference, which serves as the target of a `Spec`.
    ``__all__`` is set to the exported names of all such blocks, unless the module sets it before.

    Args:
        package: ``__name__``.

    Raises:
        ImportError: An import in the block does not have the form ``from module import name``.
    """
    module = sys.modules[package]
    namespace = vars(module)
    original = builtins.__import__

    def lazy(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        if globals is not namespace:  # an import in another thread
            return original(name, globals, locals, fromlist or (), level)
        if not fromlist or "*" in fromlist:
            raise ImportError(
                f"{package}: only 'from module import name' can be lazy; move the import of "
                f"{name!r} out of the block of lazy_exports."
            )
        return _Placeholder(resolve_name("." * level + name, namespace["__package__"]))

    with _REPLACING:
        original = builtins.__import__
        builtins.__import__ = lazy
        try:
            yield
        finally:
            builtins.__import__ = original
    names = {name for name, value in namespace.items() if isinstance(value, LazyReference)}
    exported = namespace.setdefault("__all__", _Exports())
    if isinstance(exported, _Exports):
        exported[:] = sorted(names.union(exported))
    module.__class__ = _LazyModule
