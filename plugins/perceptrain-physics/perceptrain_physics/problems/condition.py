"""One condition of a problem: what must be zero, and where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt
from typing import Any, NamedTuple

from torch import Tensor, nn

from perceptrain.errors import ConfigError
from perceptrain_physics.box import Sampler
from perceptrain_physics.checks import described, is_number


class Condition(NamedTuple):
    """One condition of a problem.

    Attributes:
        residual: ``residual(points, network)``, zero for the solution; a tensor with one row per
            point.
        sample: ``sample(n)`` draws ``n`` points, or ``n`` on each of several faces.
        terms: The number of mean squares that papers sum for this condition, such as one per face
            or per column of the residual. The residual is multiplied by the square root of
            ``terms``, so that its mean square equals that sum.
    """

    residual: Callable[[Tensor, Any], Tensor]
    sample: Sampler
    terms: int = 1


def checked_conditions(owner: str, conditions: Any) -> dict[str, Condition]:
    """Return what a method ``conditions`` returned.

    Args:
        owner: The class that has it.
        conditions: What it returned.

    Raises:
        ConfigError: It is not a dict of conditions, or a part of one is of the wrong kind.
    """
    where = f"{owner}.conditions()"
    if not isinstance(conditions, Mapping) or not conditions:
        found = described(conditions) if conditions else "nothing"
        raise ConfigError(
            f"{where} returned {found}; expected a dict with a condition for each name, such as "
            '{"pde": Condition(residual, box.inside)}.'
        )
    for name, condition in conditions.items():
        if not isinstance(condition, Condition):
            raise ConfigError(
                f"{where}[{name!r}] is {described(condition)}; expected "
                "Condition(residual, sample)."
            )
        if not callable(condition.residual):
            raise ConfigError(
                f"{where}[{name!r}]: residual is {described(condition.residual)}; expected a "
                "function residual(points, network)."
            )
        if not callable(condition.sample):
            raise ConfigError(
                f"{where}[{name!r}]: sample is {described(condition.sample)}; expected a function "
                "that draws n points: pass box.inside, not box.inside(n)."
            )
        if not is_number(condition.terms) or not condition.terms > 0:
            raise ConfigError(
                f"{where}[{name!r}]: terms={condition.terms!r}; expected the number of mean "
                "squares that are summed, such as terms=2."
            )
    return dict(conditions)


def scaled(condition: Condition) -> Callable[[Tensor, nn.Module], Tensor]:
    """Return the residual of a condition, times the square root of its terms."""
    if condition.terms == 1:
        return condition.residual
    factor = sqrt(condition.terms)
    return lambda points, network: factor * condition.residual(points, network)
