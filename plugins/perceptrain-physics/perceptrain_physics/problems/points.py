"""Points at which a solution is evaluated."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from math import inf
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from perceptrain import is_capturing, numpy_to_tensor
from perceptrain.errors import DataError, ShapeError
from perceptrain_physics.checks import described

_Problem = TypeVar("_Problem", bound=Any)


def at_points(
    exact: Callable[[_Problem, Tensor], Tensor],
) -> Callable[[_Problem, Tensor], Tensor]:
    """Let a method ``exact`` of a problem convert its points and check them.

    NumPy arrays become tensors, and whole numbers floats of the default dtype: a solution at whole
    numbers is not a whole number.

    Raises:
        DataError: The points are neither a tensor nor an array of real numbers.
        ShapeError: Their shape is not ``(N, d)``.
    """

    @wraps(exact)
    def checked(problem: _Problem, points: Tensor) -> Tensor:
        return exact(problem, _checked(problem, points))

    return checked


def _checked(problem: Any, points: Any) -> Tensor:
    found = numpy_to_tensor(points) if isinstance(points, np.ndarray) else points
    owner, d = type(problem).__name__, len(problem.box.low)
    numbers = isinstance(found, Tensor) and found.dtype != torch.bool and not found.is_complex()
    if not numbers:
        raise DataError(
            f"{owner}.exact: the points are {described(points)}; expected a tensor of floats of "
            f"shape (N, {d}). Convert them, such as with torch.tensor(points)."
        )
    if found.ndim != 2 or found.shape[1] != d:
        coordinates = ", ".join(problem.inputs)
        raise ShapeError(
            f"{owner}.exact: the points have shape {tuple(found.shape)}; expected (N, {d}), one "
            f"row for each point ({coordinates}). {_advice(found, problem.inputs)}"
        )
    return found if found.is_floating_point() else found.to(torch.get_default_dtype())


def _advice(points: Tensor, names: Any) -> str:
    if points.ndim == 1 and len(names) == 1:
        return f"Use {names[0]}.unsqueeze(-1)."
    if points.ndim == 1 and len(points) == len(names):
        return "For a single point, use point.unsqueeze(0)."
    if len(names) == 1:
        return "Pass the column of the points."
    return f"Stack the coordinates, torch.stack([{', '.join(names)}], dim=1)."


def check_times(t: Tensor, first: float, last: float) -> None:
    """Check the times at which a reference solution is evaluated: elsewhere it is not one.

    Args:
        t: The times.
        first: The first time at which the reference is known.
        last: The last; ``inf`` if there is none.

    Raises:
        DataError: A time is earlier or later.
    """
    if is_capturing() or not t.numel():
        return
    smallest, largest = (end.item() for end in t.detach().aminmax())
    rounding = 1e-6 * max(1.0, abs(first), abs(smallest))
    if smallest < first - rounding or largest > last + rounding:
        expected = f"{first:g} to {last:g}" if last < inf else f"{first:g} on"
        raise DataError(
            f"The points have times from {smallest:g} to {largest:g}; the reference solution is "
            f"known from {expected}. Leave out other times."
        )
