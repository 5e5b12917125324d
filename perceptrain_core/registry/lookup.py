"""The default registry, with a look-up function and a decorator for each kind."""

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
    """Return the registry of this process, always the same object.

    Args:
        refresh: Search for installed plugins again, after an installation or a change of
            ``PERCEPTRAIN_PLUGINS``. Names registered by scripts are kept.
    """
    if refresh:
        _default().refresh()
    return _default()


def get_loss(
    loss: str | Mapping[str, Any] | Callable[..., Any] | None = None, /, **options: Any
) -> LossFunction:
    """Return the loss with a name.

    Args:
        loss: A short or qualified name, a reference (``"package.module:attribute"``,
            ``"./file.py:attribute"``), a mapping ``{"name": ..., **options}``, or a callable,
            which is returned unchanged. ``None`` means ``"mse"``.
        **options: The options of the loss, checked against its signature.

    Returns:
        The loss, a callable ``(batch, model)``.

    Raises:
        UnknownNameError: No loss has the name.
        AmbiguousNameError: Several plugins offer a loss with this short name.
        OptionError: An option is unknown or missing, or ``loss`` has the wrong type.
        TargetError: The target cannot be imported, or cannot be called with a batch and a model.
    """
    found: LossFunction = registry().resolve("loss", loss, (), options)
    return found


def get_model(model: str | Mapping[str, Any] | nn.Module, /, **options: Any) -> nn.Module:
    """Build a model by its name; see `get_loss`. An object is returned unchanged."""
    found: nn.Module = registry().resolve("model", model, (), options)
    return found


def get_weighting(weighting: str | Mapping[str, Any] | nn.Module, /, **options: Any) -> nn.Module:
    """Build a weighting by its name; see `get_loss`. An object is returned unchanged."""
    found: nn.Module = registry().resolve("weighting", weighting, (), options)
    return found


def get_optimizer(
    optimizer: str | Mapping[str, Any] | Callable[..., Optimizer] | Optimizer,
    params: Any,
    /,
    **options: Any,
) -> Optimizer:
    """Build an optimizer by its name; see `get_loss`.

    Args:
        optimizer: A name, a reference, a mapping, a class, or an optimizer, which is returned
            unchanged.
        params: The parameters to optimize, or groups of them.
        **options: The options of the optimizer, such as ``lr``.

    Returns:
        The optimizer.
    """
    found: Optimizer = registry().resolve("optimizer", optimizer, (params,), options)
    return found


def get_callback(callback: Any, /, **options: Any) -> Any:
    """Build a callback by its name; see `get_loss`. An object is returned unchanged."""
    return registry().resolve("callback", callback, (), options)


def get_tracker(tracker: Any, /, **options: Any) -> Any:
    """Build a tracker by its name; see `get_loss`. An object is returned unchanged."""
    return registry().resolve("tracker", tracker, (), options)


def get_metric(metric: Any, /, **options: Any) -> Any:
    """Build a metric by its name; see `get_loss`. An object is returned unchanged."""
    return registry().resolve("metric", metric, (), options)


def get_dataset(dataset: Any, /, **options: Any) -> Any:
    """Build a data set by its name; see `get_loss`. An object is returned unchanged."""
    return registry().resolve("dataset", dataset, (), options)


class Register:
    """A decorator that registers a class or function of a script or notebook under a name.

    Use it with a name, ``@register_loss("fancy")``, or without one, ``@register_loss``. Look-ups
    in this process then find ``"fancy"`` and ``"local/fancy"``. The decorator returns the class or
    function unchanged.

    Args:
        name: The name; by default the name of the function or class. Registering a name again
            replaces the earlier object, as when a notebook cell runs twice.
        summary: One line for the listings; by default the first line of the docstring.

    Raises:
        InvalidSpecError: The name is invalid, or belongs to a built-in.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __repr__(self) -> str:
        return f"register_{self._kind}"

    @overload
    def __call__(self, target: Target, /) -> Target: ...
    @overload
    def __call__(
        self, name: str | None = None, /, *, summary: str = ""
    ) -> Callable[[Target], Target]: ...
    def __call__(self, name: Any = None, /, *, summary: str = "") -> Any:
        """Register a class or function, or return a decorator that does."""

        def decorate(target: Target) -> Target:
            own = getattr(target, "__name__", "") if name is None or name is target else name
            _default().register(self._kind, own, target, summary)
            return target

        return decorate(name) if callable(name) else decorate


register_loss = Register("loss")
register_model = Register("model")
register_weighting = Register("weighting")
register_optimizer = Register("optimizer")
register_callback = Register("callback")
register_tracker = Register("tracker")
register_metric = Register("metric")
register_dataset = Register("dataset")
