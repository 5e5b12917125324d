"""The hooks of a plugin: one for each kind, each returns an iterable of `Spec`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType

import pluggy

from perceptrain_core.registry.kinds import KINDS, Kind
from perceptrain_core.registry.specs import Spec

PROJECT = "perceptrain"

#: Marks a function of a plugin as a hook.
hookimpl = pluggy.HookimplMarker(PROJECT)

_hookspec = pluggy.HookspecMarker(PROJECT)


def _spec_of(kind: Kind) -> Callable[[], Iterable[Spec]]:
    def hook() -> Iterable[Spec]:
        return ()

    hook.__name__ = hook.__qualname__ = kind.hook
    hook.__doc__ = f"Offer {kind.offers}."
    return _hookspec(hook)


#: The specifications of all hooks, for pluggy.
HOOKSPECS = ModuleType("perceptrain_hookspecs")
vars(HOOKSPECS).update({kind.hook: _spec_of(kind) for kind in KINDS})
