"""The hooks of a plugin: one for each kind, each returns an iterable of `Spec`."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from perceptrain_core.registry.specs import Spec

PROJECT = "perceptrain"

hookspec = pluggy.HookspecMarker(PROJECT)

#: Marks a function of a plugin as a hook.
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def perceptrain_losses() -> Iterable[Spec]:
    """Offer losses: functions ``(batch, model, *, options)``, or classes that make such."""
    return ()


@hookspec
def perceptrain_models() -> Iterable[Spec]:
    """Offer models: called with the options, they give an ``nn.Module``."""
    return ()


@hookspec
def perceptrain_weightings() -> Iterable[Spec]:
    """Offer weightings of the terms of a loss: called with the options."""
    return ()


@hookspec
def perceptrain_optimizers() -> Iterable[Spec]:
    """Offer optimizers: called with the parameters, then the options."""
    return ()


@hookspec
def perceptrain_callbacks() -> Iterable[Spec]:
    """Offer callbacks: called with the options."""
    return ()


@hookspec
def perceptrain_trackers() -> Iterable[Spec]:
    """Offer experiment trackers: called with the options."""
    return ()


@hookspec
def perceptrain_datasets() -> Iterable[Spec]:
    """Offer data sets: called with the options."""
    return ()
