"""Checks of the equations of a PINN: what they return, and how they differentiate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from perceptrain_core.errors import DataError
from perceptrain_core.tensors import describe
from perceptrain_core.user_warnings import warn_user

#: With fewer points than this, a residual of shape (N, N) may well be meant: one per equation.
_FEW = 5

_FIRST = "torch.autograd.grad and partials return a tuple: take its first element."
#: Mistakes in equations, by a part of Python's message.
_ADVICE = {
    'can only concatenate tuple (not "Tensor")': _FIRST,
    "for -: 'tuple'": _FIRST,
    "'Tensor' object is not callable": "An equation is called as equation(points, network).",
    "converted to Python scalars": (
        "Functions of math compute one number: use those of torch, such as torch.sin."
    ),
}


class WatchedDerivatives(TorchFunctionMode):
    """Notice how an equation differentiates in training.

    Without ``create_graph=True`` there is a warning, and ``backward`` is a `DataError`.

    Args:
        name: The name of the equation.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch, unless it adds to the gradients of the parameters."""
        given = kwargs or {}
        if func in (Tensor.backward, torch.autograd.backward):
            raise DataError(
                f"The equation {self._name!r} calls backward, which adds to the gradients of the "
                "parameters. Differentiate with torch.autograd.grad(u.sum(), points, "
                "create_graph=True)[0] instead."
            )
        by_position = len(args) > 4  # outputs, inputs, grad_outputs, retain_graph, create_graph
        if func is torch.autograd.grad and not (by_position or given.get("create_graph")):
            warn_user(
                f"The equation {self._name!r} calls torch.autograd.grad without "
                "create_graph=True, so the derivative counts as a constant, and training does "
                "not see how it depends on the parameters. Pass create_graph=True; ignore this if "
                "a constant is meant."
            )
        return func(*args, **given)


def explain(error: Exception, name: str) -> None:
    """Add notes to an error that an equation raised: its name, and what to do.

    Args:
        error: The error.
        name: The name of the equation.
    """
    error.add_note(f"This was the equation {name!r}.")
    for part, advice in _ADVICE.items():
        if part in str(error):
            error.add_note(advice)


def check_residual(name: str, residual: object) -> Tensor:
    """Return the residual of an equation if it is a tensor of numbers.

    Raises:
        DataError: It is something else.
    """
    if isinstance(residual, Tensor) and (residual.is_floating_point() or residual.is_complex()):
        return residual
    advice = (
        "Return a difference, not a comparison."
        if isinstance(residual, Tensor)
        else "torch.autograd.grad returns a tuple: take its first element."
    )
    raise DataError(
        f"The equation {name!r} returned {describe(residual)}; expected its residual, a tensor of "
        f"floats. {advice}"
    )


def check_rows(name: str, residual: Tensor, points: Tensor) -> None:
    """Check that a residual has a row for each point; more are several conditions, stacked.

    Warns:
        UserWarning: It has fewer rows.
    """
    n = len(points) if points.dim() else 1
    if (len(residual) if residual.dim() else 1) < n:
        warn_user(
            f"The equation {name!r} returned a residual of shape {tuple(residual.shape)} for {n} "
            f"points; expected one row for each point, ({n}, ...). Do not average or cut it: the "
            "loss does so. Ignore this if the points have one residual together, as an integral."
        )


def check_broadcast(name: str, residual: Tensor, points: Tensor) -> None:
    """Check that a residual has no row and column for each pair of points.

    Warns:
        UserWarning: The residual at N points has the shape ``(N, N)``.
    """
    n = residual.size(-1) if residual.dim() == 2 else 0
    if n < _FEW or not points.dim() or residual.shape != (len(points), len(points)):
        return
    warn_user(
        f"The equation {name!r} returned a residual of shape ({n}, {n}) for {n} points. Torch "
        f"broadcasts a term of shape ({n}, 1) and one of shape ({n},) to that: give all terms the "
        f"shape ({n}, 1), with term.unsqueeze(-1) or by keeping a column as x[:, :1]. Ignore this "
        f"if each point has {n} residuals."
    )
