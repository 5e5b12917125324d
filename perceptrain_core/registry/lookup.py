"""Names in one call: the default registry, and one function for each kind on it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from perceptrain_core.registry.plugin_registry import Registry

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from perceptrain_core.types import LossFunction

Target = TypeVar("Target", bound=Callable[..., Any])


@functools.cache
def _default() -> Registry:
    return Registry()


def registry(*, refresh: bool = False) -> Registry:
    """Give the registry of this process.

    Args:
        refresh: Look again for installed plugins, after an installation or when
            ``PERCEPTRAIN_PLUGINS`` has changed. What scripts registered stays.

    Returns:
        The registry, always the same object.
    """
    if refresh:
        _default().refresh()
    return _default()


def get_loss(
    loss: str | Mapping[str, Any] | Callable[..., Any] | None = None, /, **options: Any
) -> LossFunction:
    """Find a loss by its name.

    Args:
        loss: A short or qualified name, a reference (``"package.module:attribute"``,
            ``"./file.py:attribute"``), a mapping ``{"name": ..., **options}``, or a callable,
            which comes back as it is. ``None`` is ``"mse"``.
        **options: The options of the loss, checked against its signature.

    Returns:
        The loss, called with a batch and a model.

    Raises:
        UnknownNameError: No loss has the name.
        AmbiguousNameError: Several plugins have it.
        OptionError: An option is unknown or missing, or ``loss`` is none of the above.
        TargetError: What has the name cannot be imported, or does not take a batch and a model.
    """
    found: LossFunction = registry().resolve("loss", loss, (), options)
    return found


def get_model(model: str | Mapping[str, Any] | nn.Module, /, **options: Any) -> nn.Module:
    """Make a model by its name; like `get_loss`, and a model comes back as it is."""
    found: nn.Module = registry().resolve("model", model, (), options)
    return found


def get_weighting(weighting: str | Mapping[str, Any] | nn.Module, /, **options: Any) -> nn.Module:
    """Make a weighting by its name; like `get_loss`, and a weighting comes back as it is."""
    found: nn.Module = registry().resolve("weighting", weighting, (), options)
    return found


def get_optimizer(
    optimizer: str | Mapping[str, Any] | Callable[..., Optimizer] | Optimizer,
    params: Any,
    /,
    **options: Any,
) -> Optimizer:
    """Make an optimizer by its name; like `get_loss`.

    Args:
        optimizer: A name, a reference, a mapping, a class, or an optimizer, which comes back as
            it is.
        params: The parameters to optimize, or groups of them.
        **options: The options of the optimizer, such as ``lr``.

    Returns:
        The optimizer.
    """
    found: Optimizer = registry().resolve("optimizer", optimizer, (params,), options)
    return found


def get_callback(callback: Any, /, **options: Any) -> Any:
    """Make a callback by its name; like `get_loss`, and a callback comes back as it is."""
    return registry().resolve("callback", callback, (), options)


def get_tracker(tracker: Any, /, **options: Any) -> Any:
    """Make a tracker by its name; like `get_loss`, and a tracker comes back as it is."""
    return registry().resolve("tracker", tracker, (), options)


def get_dataset(dataset: Any, /, **options: Any) -> Any:
    """Make a data set by its name; like `get_loss`, and a data set comes back as it is."""
    return registry().resolve("dataset", dataset, (), options)


@overload
def register_loss(name: Target, /) -> Target: ...
@overload
def register_loss(
    name: str | None = None, /, *, summary: str = ""
) -> Callable[[Target], Target]: ...
def register_loss(name: Any = None, /, *, summary: str = "") -> Any:
    """Register a loss of a script or notebook: ``@register_loss("fancy")``.

    Args:
        name: Its name; by default that of the function. One registered before under it is
            replaced, as when a notebook's cell runs again.
        summary: One line for the listings; by default the first of the docstring.

    Returns:
        A decorator that gives the function or class back unchanged. The loss is ``"fancy"`` and
        ``"local/fancy"`` from then on, in this process.

    Raises:
        InvalidSpecError: The name cannot be one, or belongs to a built-in.
    """
    return _register("loss", name, summary)


@overload
def register_model(name: Target, /) -> Target: ...
@overload
def register_model(
    name: str | None = None, /, *, summary: str = ""
) -> Callable[[Target], Target]: ...
def register_model(name: Any = None, /, *, summary: str = "") -> Any:
    """Register a model of a script or notebook; like `register_loss`."""
    return _register("model", name, summary)


def _register(kind: str, name: Any, summary: str) -> Any:
    def decorate(target: Target) -> Target:
        own = getattr(target, "__name__", "") if name is None else name
        _default().register(kind, own, target, summary)
        return target

    if callable(name):
        target, name = name, None
        return decorate(target)
    return decorate
