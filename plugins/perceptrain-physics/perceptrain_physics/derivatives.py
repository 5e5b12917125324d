"""Derivatives of computed values with respect to the points that they were computed at.

All are nested reverse mode. On the small networks of PINNs it takes a third to a half of the time
of torch's forward mode, the training step through it included.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from perceptrain.errors import DataError, ShapeError


def grad(u: Tensor, x: Tensor) -> Tensor:
    """Give the gradient of a scalar field, row by row.

    Row ``i`` of ``u`` must depend on row ``i`` of ``x`` alone, as with any network without batch
    normalisation. The result has a graph: differentiate it again, or train through it. ::

        def ode(t, network):  # u' = -u
            u = network(t)
            return grad(u, t) + u

    Args:
        u: The field, of shape ``(N,)`` or ``(N, 1)``, computed from ``x`` while gradients were on,
            as they are in the equations of a PINN, in validation too. Of several outputs take one,
            ``u[:, :1]``.
        x: The points, of shape ``(N, d)``, which record gradients.

    Returns:
        The derivatives with respect to each coordinate, of shape ``(N, d)``, in the dtype of ``u``.

    Raises:
        ShapeError: The shapes are others.
        DataError: ``u`` was not computed from ``x``, or gradients were off then.
    """
    _check(u, x, columns=1)
    if u.requires_grad and x.requires_grad:
        (gradient,) = torch.autograd.grad(u.sum(), x, create_graph=True, allow_unused=True)
        if gradient is not None:
            return gradient
    raise DataError(
        f"u does not depend on x{_reason(u, x)}. Expected u computed from this very tensor, with "
        "x.requires_grad set before and gradients on; in the equations of a PINN both are."
    )


def laplacian(u: Tensor, x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """Give the sum of the second derivatives.

    Args:
        u: The field, of shape ``(N,)`` or ``(N, 1)``, as in `grad`.
        x: The points, of shape ``(N, d)``.
        axes: The coordinates to sum over, such as ``(1, 2)`` where the first is time. By default
            all.

    Returns:
        The Laplacian, of shape ``(N, 1)``, with a graph.

    Raises:
        ShapeError: The shapes are others, or there is no such axis.
        DataError: ``u`` was not computed from ``x``, or gradients were off then.
    """
    gradient = grad(u, x)
    return _divergence(gradient, x, _checked(axes, x.shape[1]))


def div(v: Tensor, x: Tensor) -> Tensor:
    """Give the divergence of a vector field.

    Args:
        v: The field, of shape ``(N, d)``, as ``u`` in `grad`.
        x: The points, of shape ``(N, d)``.

    Returns:
        The divergence, of shape ``(N, 1)``, with a graph.

    Raises:
        ShapeError: The shapes are others.
        DataError: ``v`` was not computed from ``x``, or gradients were off then.
    """
    _check(v, x, columns=x.shape[-1] if x.ndim else 1)
    if x.shape[1] == 1:
        return grad(v, x)
    grad(v[:, 0], x)  # which says what is wrong, if anything is
    return _divergence(v, x, range(x.shape[1]))


def derivative(u: Tensor, x: Tensor) -> Tensor:
    """Give `grad` where a field that does not depend on the points is a constant, not a mistake."""
    if not u.requires_grad:
        return torch.zeros_like(x)
    (gradient,) = torch.autograd.grad(u.sum(), x, create_graph=True, materialize_grads=True)
    return gradient


def _divergence(v: Tensor, x: Tensor, axes: Sequence[int]) -> Tensor:
    parts = [derivative(v[:, axis], x)[:, axis : axis + 1] for axis in axes]
    return torch.stack(parts).sum(0)


def _checked(axes: Sequence[int] | None, dimensions: int) -> Sequence[int]:
    if axes is None:
        return range(dimensions)
    if isinstance(axes, Sequence) and axes and all(-dimensions <= a < dimensions for a in axes):
        return [axis % dimensions for axis in axes]
    raise ShapeError(
        f"axes={axes!r}: expected one or more coordinates to sum over, numbers from 0 to "
        f"{dimensions - 1}, such as axes=(0,)."
    )


def _check(u: Tensor, x: Tensor, columns: int) -> None:
    if not isinstance(u, Tensor) or not isinstance(x, Tensor):
        raise DataError(
            f"u is {type(u).__name__} and x is {type(x).__name__}; expected tensors, the values of "
            "a network and the points: u = network(x). partials(network, x, ...) calls it itself."
        )
    if x.ndim != 2:
        raise ShapeError(
            f"x has the shape {tuple(x.shape)}; expected (N, d), a row for each point. Points on a "
            "line are x.unsqueeze(-1)."
        )
    rows = len(x)
    if u.shape != (rows, columns) and not (columns == 1 and u.shape == (rows,)):
        wanted = f"({rows},) or ({rows}, 1)" if columns == 1 else f"({rows}, {columns})"
        raise ShapeError(
            f"The field has the shape {tuple(u.shape)} at points of shape {tuple(x.shape)}; "
            f"expected {wanted}. Differentiate several outputs one by one, u[:, :1]."
        )


def _reason(u: Tensor, x: Tensor) -> str:
    if not x.requires_grad:
        return ", which does not record gradients"
    return "" if u.requires_grad else ", for it has no graph"
