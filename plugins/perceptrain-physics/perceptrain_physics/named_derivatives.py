"""Partial derivatives of a network by name, such as "xx"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from perceptrain.errors import ConfigError, DataError, ShapeError
from perceptrain_physics.derivatives import derivative
from perceptrain_physics.kinks import warn_of_kinks

#: The axes of a derivative, sorted; ``()`` is the value itself.
_Index: TypeAlias = tuple[int, ...]

_NAMES = "xyz"


def partials(
    net: Callable[[Tensor], Tensor], x: Tensor, *orders: str, names: Sequence[str] | None = None
) -> tuple[Tensor, ...]:
    """Compute only the requested partial derivatives of a network.

    Intermediate derivatives that several of them share are computed once. ::

        def heat(points, network):
            u_t, u_xx = partials(network, points, "t", "xx", names=("t", "x"))
            return u_t - u_xx

    Args:
        net: The network, or any function from points of shape ``(N, d)`` to values of shape
            ``(N, 1)`` or ``(N,)`` in which each value depends on its own row only. If there are
            several outputs, select one: ``lambda x: net(x)[:, :1]``.
        x: The points, of shape ``(N, d)``. They need not require gradients, and are not changed.
        orders: The derivatives, such as "t", "xx" or "xy", in letters of ``names``; "" is the
            value itself.
        names: A letter for each coordinate, in order. By default "x", "y" and "z", as many as
            there are coordinates.

    Returns:
        One tensor of shape ``(N, 1)`` per order. If gradients are enabled, the tensors have a
        graph to the parameters of the network, and to ``x`` if it requires gradients. Under
        ``torch.no_grad`` the values are the same, without a graph.

    Warns:
        UserWarning: On the first batch of a training, a derivative of second or higher order is
            zero because the network has an activation such as ReLU.

    Raises:
        ConfigError: An order has an unknown letter, or ``names`` is not one letter per coordinate.
        ShapeError: The network returned values of another shape.
        DataError: ``x`` is not a floating-point tensor of shape ``(N, d)``, or ``net`` is not
            callable.
    """
    if not callable(net) or isinstance(net, Tensor):
        raise DataError(
            f"net is of type {type(net).__name__}; expected the network itself, to be called with "
            "the points. For values already computed use grad(u, x) or laplacian(u, x)."
        )
    axes = _axes(x, names)
    indices = [_index(order, axes) for order in orders]
    if torch.is_grad_enabled():
        return _evaluate(net, x if x.requires_grad else x.detach().requires_grad_(), indices)
    with torch.inference_mode(False), torch.enable_grad():
        values = _evaluate(net, x.detach().clone().requires_grad_(), indices)
    return tuple(value.detach() for value in values)


def _evaluate(
    net: Callable[[Tensor], Tensor], x: Tensor, indices: list[_Index]
) -> tuple[Tensor, ...]:
    value = net(x)
    if value.shape not in {(len(x),), (len(x), 1)}:
        raise ShapeError(
            f"The network returned values of shape {tuple(value.shape)} at points of shape "
            f"{tuple(x.shape)}; expected ({len(x)}, 1). Select one of several outputs: "
            "lambda x: net(x)[:, :1]."
        )
    gradients: dict[_Index, Tensor] = {}
    computed: dict[_Index, Tensor] = {(): value.reshape(-1, 1)}

    def compute(index: _Index) -> Tensor:
        if index not in computed:
            axis, rest = _last_step(index, gradients)
            if rest not in gradients:
                gradients[rest] = derivative(compute(rest), x)
            computed[index] = gradients[rest][:, axis : axis + 1]
        return computed[index]

    # Pure derivatives first: a mixed one can then reuse the gradients they needed.
    for index in sorted(indices, key=lambda index: len(set(index))):
        compute(index)
    for index in indices:
        if len(index) > 1:
            warn_of_kinks(_lower(index, computed), computed[index])
    return tuple(computed[index] for index in indices)


def _last_step(index: _Index, gradients: dict[_Index, Tensor]) -> tuple[int, _Index]:
    """Choose the axis to differentiate along last, preferring one whose gradient is known."""
    steps = [(axis, index[:at] + index[at + 1 :]) for at, axis in enumerate(index)]
    return next((step for step in steps if step[1] in gradients), steps[-1])


def _lower(index: _Index, computed: dict[_Index, Tensor]) -> Tensor:
    """Return a computed derivative that is one order lower."""
    lower = (index[:at] + index[at + 1 :] for at in range(len(index)))
    return next(computed[each] for each in lower if each in computed)


def _axes(x: Tensor, names: Sequence[str] | None) -> dict[str, int]:
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim != 2:
        actual = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x)
        raise DataError(f"x is {actual}; expected a tensor of floats of shape (N, d).")
    dimensions = x.shape[1]
    if names is None and dimensions <= len(_NAMES):
        names = _NAMES[:dimensions]
    check_letters("names", names, dimensions)
    return {name: axis for axis, name in enumerate(names or ())}


def check_letters(option: str, letters: Any, dimensions: int) -> None:
    """Check that there is one letter for each coordinate, all different.

    Raises:
        ConfigError: It is not so.
    """
    listed = isinstance(letters, Sequence)
    single = listed and all(isinstance(letter, str) and len(letter) == 1 for letter in letters)
    if not single or len(set(letters)) < len(letters) or len(letters) != dimensions:
        example = (*"txyz", *"abcdefghijklmnopqrsuvw")[:dimensions]
        raise ConfigError(
            f"{option}={letters!r}: expected a letter for each of the {dimensions} coordinates of "
            f"the points, such as {option}={example!r}."
        )


def _index(order: str, axes: dict[str, int]) -> _Index:
    if not isinstance(order, str) or not set(order) <= axes.keys():
        raise ConfigError(
            f"Unknown derivative {order!r}: the coordinates are {', '.join(axes)}. Write orders in "
            'these letters, such as "xx", or set other letters with names=....'
        )
    return tuple(sorted(axes[letter] for letter in order))
