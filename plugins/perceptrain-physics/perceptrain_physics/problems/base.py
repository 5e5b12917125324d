"""The base class of problems: conditions, points, exact solution, and the error of a model."""

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


class Problem(ABC):
    """A differential equation with its conditions and its exact solution. ::

        problem = Helmholtz()
        model = problem.pinn("modified_mlp")
        Trainer(model, "adam", TrainConfig(max_iter=10_000)).fit(problem.loader())
        print(problem.relative_l2(model))

    Args:
        box: The domain.

    Attributes:
        inputs: The letters of the coordinates, in order, for `partials`.
        box: The domain, with ``mean`` and ``deviation`` for networks that standardize their inputs.
    """

    inputs: Sequence[str]

    def __init__(self, box: Box) -> None:
        self.box = box

    @abstractmethod
    def conditions(self) -> dict[str, Condition]:
        """Return the conditions by name, the equation itself first."""

    @abstractmethod
    def exact(self, points: Tensor) -> Tensor:
        """Return the solution, ``(N, 1)``, at points of shape ``(N, d)``, in the same dtype."""

    @property
    def equations(self) -> dict[str, Callable[[Tensor, nn.Module], Tensor]]:
        """The residuals by name, the argument of a PINN: ``PINN(network, problem.equations)``."""
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
        """Build a PINN for this problem.

        Args:
            network: A network, used unchanged; or the name of one of this plugin's networks, built
                with standardized inputs.
            hidden: Sizes of the hidden layers of a network given by name.
            **options: Other options of a network given by name.

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
        """Return `FreshPoints` for all conditions, with the same arguments."""
        return FreshPoints(self.samplers, points, steps)

    @classmethod
    def dataset(cls, points: int = 128, steps: int | None = None, **options: Any) -> FreshPoints:
        """Create the problem and return its loader, for run files.

        Args:
            points: Points per condition, or per face of a condition with several faces.
            steps: Batches per epoch. By default the loader is infinite, and one batch is an epoch.
            **options: Options of the problem.
        """
        return cls(**options).loader(points, steps)

    def relative_l2(self, model: Callable[[Tensor], Tensor], n: int = 100) -> float:
        """Compute the relative L2 error of a model on a grid.

        Args:
            model: A PINN, wrapped or not, or a network: a function of points of shape ``(N, d)``.
                Modules are evaluated in evaluation mode.
            n: Grid points per axis.

        Returns:
            The norm of the error divided by the norm of the solution, computed in float64.

        Raises:
            ShapeError: The model does not return values of shape ``(N, 1)``.
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
                f"The model returned values of shape {tuple(u.shape)} on a grid of {len(grid)} "
                f"points; expected {tuple(truth.shape)}."
            )
        return float((u - truth).norm() / truth.norm())


def require_whole(problem: Problem, **numbers: float) -> None:
    """Check options that must be whole numbers above 0, such as numbers of half waves.

    Raises:
        ConfigError: An option is not a whole number above 0.
    """
    wrong = [f"{name}={value!r}" for name, value in numbers.items() if not _is_whole(value)]
    if wrong:
        raise ConfigError(
            f"{type(problem).__name__}: {', '.join(wrong)}; expected whole numbers above 0, "
            "because the solution is zero at both ends."
        )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | float) and value > 0 and value == int(value)


def side_by_side(*residuals: Tensor) -> Tensor:
    """Concatenate residuals of shape ``(N, 1)`` as columns."""
    return torch.cat(residuals, dim=1)


def _scaled(condition: Condition) -> Callable[[Tensor, nn.Module], Tensor]:
    if condition.terms == 1:
        return condition.residual
    factor = sqrt(condition.terms)
    return lambda points, network: factor * condition.residual(points, network)
