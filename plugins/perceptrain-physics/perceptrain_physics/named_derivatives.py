"""Partial derivatives of a network by their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from perceptrain.errors import ConfigError, DataError, ShapeError
from perceptrain_physics.derivatives import derivative

#: A derivative by the axes that it is taken along, in order; ``()`` is the value.
_Index: TypeAlias = tuple[int, ...]


def partials(
    net: Callable[[Tensor], Tensor], x: Tensor, *orders: str, names: Sequence[str] = "xyz"
) -> tuple[Tensor, ...]:
    """Give partial derivatives of a network, and compute no others.

    What several of them need is computed once. ::

        def heat(points, network):
            u_t, u_xx = partials(network, points, "t", "xx", names=("t", "x"))
            return u_t - u_xx

    Args:
        net: The network, or any function of points of shape ``(N, d)`` that gives values of shape
            ``(N, 1)`` or ``(N,)``, each of its row alone. Of several outputs take one,
            ``lambda x: net(x)[:, :1]``.
        x: The points, of shape ``(N, d)``. They need not record gradients, and are not changed.
        orders: Which, such as "t", "xx" or "xy", in letters of ``names``; "" is the value itself.
        names: A letter for each coordinate, in order; there may be more than coordinates.

    Returns:
        A tensor of shape ``(N, 1)`` for each order, in their order. While gradients are on they
        have a graph: to the parameters of the network, and to ``x`` where that records gradients.
        Under ``torch.no_grad`` they have none, and are the same numbers.

    Raises:
        ConfigError: An order has a letter that is no coordinate, or the names are not letters.
        ShapeError: The shapes are others.
        DataError: ``x`` is no tensor of floats, or ``net`` cannot be called.
    """
    if not callable(net) or isinstance(net, Tensor):
        raise DataError(
            f"net is {type(net).__name__}; expected the network itself, which is called with the "
            "points. For values that are computed already use grad(u, x) or laplacian(u, x)."
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
            f"The network gave values of shape {tuple(value.shape)} at points of shape "
            f"{tuple(x.shape)}; expected ({len(x)}, 1). Take one of several outputs: "
            "lambda x: net(x)[:, :1]."
        )
    gradients: dict[_Index, Tensor] = {}
    found: dict[_Index, Tensor] = {(): value.reshape(-1, 1)}

    def find(index: _Index) -> Tensor:
        if index not in found:
            axis, rest = _last_step(index, gradients)
            if rest not in gradients:
                gradients[rest] = derivative(find(rest), x)
            found[index] = gradients[rest][:, axis : axis + 1]
        return found[index]

    # Pure ones first: a mixed one can be taken from the gradient that they needed.
    for index in sorted(indices, key=lambda index: len(set(index))):
        find(index)
    return tuple(found[index] for index in indices)


def _last_step(index: _Index, gradients: dict[_Index, Tensor]) -> tuple[int, _Index]:
    """Choose the axis to differentiate along last: one whose gradient is there, if there is one."""
    steps = [(axis, index[:at] + index[at + 1 :]) for at, axis in enumerate(index)]
    return next((step for step in steps if step[1] in gradients), steps[-1])


def _axes(x: Tensor, names: Sequence[str]) -> dict[str, int]:
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim != 2:
        given = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x)
        raise DataError(f"x is {given}; expected a tensor of floats of shape (N, d).")
    single = all(isinstance(name, str) and len(name) == 1 for name in names)
    if not single or len(set(names)) < len(names) or len(names) < x.shape[1]:
        raise ConfigError(
            f"names={names!r}: expected a letter for each of the {x.shape[1]} coordinates, such as "
            'names=("t", "x").'
        )
    return {name: axis for axis, name in enumerate(names[: x.shape[1]])}


def _index(order: str, axes: dict[str, int]) -> _Index:
    if not isinstance(order, str) or not set(order) <= axes.keys():
        raise ConfigError(
            f"There is no derivative {order!r}: the coordinates are {', '.join(axes)}. Orders are "
            'written in these letters, such as "xx"; names=... gives them others.'
        )
    return tuple(sorted(axes[letter] for letter in order))
