"""Draw points from a function or a torch distribution, with checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from torch import Tensor
from torch.distributions import Distribution

from perceptrain_core.errors import DataError

#: ``proba_dist(n)`` returns ``n`` points, a tensor of shape ``(n, d)``.
ProbaDist: TypeAlias = Callable[[int], Tensor] | Distribution


def check_proba_dist(proba_dist: Any) -> None:
    """Check that points can be drawn from an object.

    Raises:
        DataError: The object is neither a function nor a distribution of torch.
    """
    if not callable(proba_dist) and not isinstance(proba_dist, Distribution):
        raise DataError(
            f"proba_dist is of type {type(proba_dist).__name__}; expected a function n -> tensor "
            "of shape (n, d), e.g. lambda n: torch.rand(n, 2), or a torch.distributions object."
        )


def draw_points(proba_dist: ProbaDist, n: int) -> Tensor:
    """Draw points.

    Args:
        proba_dist: A function ``n -> points``, or a distribution of torch; a distribution of
            numbers returns points with one coordinate.
        n: How many, at least 1.

    Returns:
        A tensor of shape ``(n, d)``, without a graph, of the dtype and on the device that it was
        drawn with. Whatever follows the first dimension is left as the function returns it.

    Raises:
        DataError: The function returned something else.
    """
    if isinstance(proba_dist, Distribution):
        drawn = proba_dist.sample((n,))
        return drawn.unsqueeze(-1) if drawn.dim() == 1 else drawn
    points: Any = proba_dist(n)
    if not isinstance(points, Tensor) or points.dim() == 0 or len(points) != n:
        shape = f" of shape {tuple(points.shape)}" if isinstance(points, Tensor) else ""
        raise DataError(
            f"proba_dist({n}) returned a {type(points).__name__}{shape}; expected a tensor of "
            f"shape ({n}, d), a row for each point."
        )
    return points.detach()
