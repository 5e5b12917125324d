"""What a problem has: conditions, points for them, a solution, and the error of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from math import sqrt
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from perceptrain import PINN, get_model
from perceptrain.errors import ConfigError, ShapeError
from perceptrain_physics.box import Box, Sampler
from perceptrain_physics.fresh_points import FreshPoints
from perceptrain_physics.wrapped import evaluating, pinn_in


class Condition(NamedTuple):
    """One of the conditions of a problem.

    Attributes:
        residual: ``residual(points, network)``, zero for the solution; a tensor with a row for
            each point.
        sample: ``sample(n)`` draws points: ``n`` of them, or ``n`` on each of several faces.
        terms: How many mean squares the condition is the sum of, as papers write it: a face or a
            column of the residual each. The residual is scaled by the root of it, so that its mean
            square is that sum.
    """

    residual: Callable[[Tensor, Any], Tensor]
    sample: Sampler
    terms: int = 1


class Problem(ABC):
    """A differential equation with its conditions and its solution. ::

        problem = Helmholtz()
        model = problem.pinn("modified_mlp")
        Trainer(model, "adam", TrainConfig(max_iter=10_000)).fit(problem.loader())
        print(problem.relative_l2(model))

    Args:
        box: Where it is to be solved.

    Attributes:
        inputs: The letters of the coordinates, in order, for `partials`.
        box: The box, with ``mean`` and ``deviation`` for networks that standardise their inputs.
    """

    inputs: Sequence[str]

    def __init__(self, box: Box) -> None:
        self.box = box

    @abstractmethod
    def conditions(self) -> dict[str, Condition]:
        """Give the conditions by name, the equation itself first."""

    @abstractmethod
    def exact(self, points: Tensor) -> Tensor:
        """Give the solution, of shape ``(N, 1)``, at points of shape ``(N, d)``, in their dtype."""

    @property
    def equations(self) -> dict[str, Callable[[Tensor, nn.Module], Tensor]]:
        """The residuals by name, as a PINN takes them: ``PINN(network, problem.equations)``."""
        return {name: _scaled(condition) for name, condition in self.conditions().items()}

    @property
    def samplers(self) -> dict[str, Sampler]:
        """The samplers of points by name."""
        return {name: condition.sample for name, condition in self.conditions().items()}

    def pinn(
        self,
        network: nn.Module | str | Mapping[str, Any] = "mlp",
        *,
        hidden: Sequence[int] = (50, 50, 50),
        **options: Any,
    ) -> PINN:
        """Make a PINN of this problem.

        Args:
            network: A network, which is taken as it is; or the name of one of this plugin's, which
                is made with standardised inputs.
            hidden: The sizes of its hidden layers.
            **options: Its other options.

        Returns:
            The model.
        """
        if isinstance(network, str):
            network = {
                "name": network,
                "layers": [len(self.inputs), *hidden, 1],
                "mean": self.box.mean,
                "deviation": self.box.deviation,
                **options,
            }
        return PINN(get_model(network), self.equations)

    def loader(
        self, points: int | Mapping[str, int] = 128, steps: int | None = None
    ) -> FreshPoints:
        """Give fresh points for all conditions at each step; the arguments are its own."""
        return FreshPoints(self.samplers, points, steps)

    @classmethod
    def dataset(cls, points: int = 128, steps: int | None = None, **options: Any) -> FreshPoints:
        """Give the loader of a problem with these options, for run files.

        Args:
            points: Points for each condition, or each face where it has several.
            steps: Batches in an epoch; by default there is no end, and one batch is an epoch.
            **options: Of the problem.
        """
        return cls(**options).loader(points, steps)

    def relative_l2(self, model: Callable[[Tensor], Tensor], n: int = 100) -> float:
        """Measure a model against the solution.

        Args:
            model: A PINN, wrapped or not, or a network: a function of points of shape ``(N, d)``.
                Modules are measured in evaluation mode.
            n: Points of the grid along each axis.

        Returns:
            The norm of the error over the norm of the solution, computed in float64.

        Raises:
            ShapeError: The model does not give values of shape ``(N, 1)``.
        """
        pinn = pinn_in(model)
        network: Any = model if pinn is None else pinn.nn
        is_module = isinstance(network, nn.Module)
        parameter = next(network.parameters(), None) if is_module else None
        grid = self.box.grid(n)
        with torch.no_grad(), evaluating(network) if is_module else nullcontext():
            u = network(grid if parameter is None else grid.to(parameter)).double()
            truth = self.exact(grid).to(u)
        if u.shape != truth.shape:
            raise ShapeError(
                f"The model gave values of shape {tuple(u.shape)} on a grid of {len(grid)} points; "
                f"expected {tuple(truth.shape)}."
            )
        return float((u - truth).norm() / truth.norm())


def require_whole(problem: Problem, **numbers: float) -> None:
    """Refuse numbers of half waves that do not fit between the ends.

    Raises:
        ConfigError: One is no whole number above 0.
    """
    wrong = [f"{name}={value!r}" for name, value in numbers.items() if not _is_whole(value)]
    if wrong:
        raise ConfigError(
            f"{type(problem).__name__}: {', '.join(wrong)}; expected whole numbers above 0, for "
            "the solution is zero at both ends."
        )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | float) and value > 0 and value == int(value)


def side_by_side(*residuals: Tensor) -> Tensor:
    """Put residuals of shape ``(N, 1)`` into the columns of one."""
    return torch.cat(residuals, dim=1)


def _scaled(condition: Condition) -> Callable[[Tensor, nn.Module], Tensor]:
    if condition.terms == 1:
        return condition.residual
    factor = sqrt(condition.terms)
    return lambda points, network: factor * condition.residual(points, network)
