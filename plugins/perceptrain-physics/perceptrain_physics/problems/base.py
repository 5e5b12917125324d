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
from perceptrain_physics.models.hard_boundary import HardBoundary
from perceptrain_physics.models.periodic import Periodic
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

    With ``hard=True`` the model satisfies the initial and boundary conditions exactly, by
    `HardBoundary` and `Periodic`, and is trained on the equation only.

    Args:
        box: The domain.
        hard: Whether the model satisfies the conditions in ``built_in`` by construction.

    Attributes:
        inputs: The letters of the coordinates, in order, for `partials`.
        outputs: The number of columns of the solution.
        periods: The period of each coordinate, as for `Periodic`, or None; used by hard models.
        built_in: The names of the conditions that a hard model satisfies.
        box: The domain, with ``mean`` and ``deviation`` for networks that standardize their inputs.
        hard: Whether models are hard.
    """

    inputs: Sequence[str]
    outputs: int = 1
    periods: Sequence[float | None] | None = None
    built_in: Sequence[str] = ("initial", "boundary")

    def __init__(self, box: Box, hard: bool = False) -> None:
        self.box = box
        self.hard = hard
        self._truths: dict[int, tuple[Tensor, Tensor]] = {}

    @abstractmethod
    def conditions(self) -> dict[str, Condition]:
        """Return the conditions of the problem by name, the equation itself first."""

    @abstractmethod
    def exact(self, points: Tensor) -> Tensor:
        """Return the solution, ``(N, outputs)``, at points ``(N, d)``, in the same dtype."""

    def distance(self, points: Tensor) -> Tensor:
        """Return ``d`` of the hard model ``g + d * network``: zero where the solution is given.

        Raises:
            ConfigError: The problem has no hard model.
        """
        raise ConfigError(f"{type(self).__name__} has no hard model: leave out hard=True.")

    def value(self, points: Tensor) -> Tensor:
        """Return ``g`` of the hard model ``g + d * network``: equal to the given values."""
        return torch.zeros_like(points[..., :1])

    def _trained(self) -> dict[str, Condition]:
        built_in = self.built_in if self.hard else ()
        return {name: each for name, each in self.conditions().items() if name not in built_in}

    @property
    def equations(self) -> dict[str, Callable[[Tensor, nn.Module], Tensor]]:
        """The residuals by name, the argument of a PINN: ``PINN(network, problem.equations)``."""
        return {name: _scaled(condition) for name, condition in self._trained().items()}

    @property
    def samplers(self) -> dict[str, Sampler]:
        """The samplers of points by name."""
        return {name: condition.sample for name, condition in self._trained().items()}

    def complete(self, network: nn.Module) -> nn.Module:
        """Return what the equations are evaluated on: the network, or the hard model around it."""
        if not self.hard:
            return network
        self.distance(self.box.inside(1))  # now, if the problem has none
        inner = network if self.periods is None else Periodic(network, self.periods)
        return HardBoundary(inner, self.distance, self.value)

    def pinn(
        self,
        network: nn.Module | str | Mapping[str, Any] = "mlp",
        *,
        hidden: Sequence[int] = (50, 50, 50),
        **options: Any,
    ) -> PINN:
        """Build a PINN for this problem.

        Args:
            network: A network, used unchanged, or inside the hard model; or the name of one of this
                plugin's networks, built with standardized inputs. In a hard model a periodic input
                becomes two, its cosine and its sine.
            hidden: Sizes of the hidden layers of a network given by name.
            **options: Other options of a network given by name.

        Returns:
            The model.
        """
        if isinstance(network, str):
            mean, deviation = self._standardization()
            network = {
                "name": network,
                "layers": [len(mean), *hidden, self.outputs],
                "mean": mean,
                "deviation": deviation,
                **options,
            }
        return PINN(self.complete(get_model(network)), self.equations)

    def _standardization(self) -> tuple[list[float], list[float]]:
        """Return mean and standard deviation of the inputs of the network."""
        periods = (self.periods if self.hard else None) or [None] * len(self.box.mean)
        mean, deviation = [], []
        for period, *own in zip(periods, self.box.mean, self.box.deviation, strict=True):
            mean += [0.0, 0.0] if period else own[:1]
            deviation += [sqrt(0.5)] * 2 if period else own[1:]
        return mean, deviation

    def loader(
        self, points: int | Mapping[str, int] = 128, steps: int | None = None, every: int = 1
    ) -> FreshPoints:
        """Return `FreshPoints` for all conditions, with the same arguments."""
        return FreshPoints(self.samplers, points, steps, every)

    @classmethod
    def dataset(
        cls, points: int = 128, steps: int | None = None, every: int = 1, **options: Any
    ) -> FreshPoints:
        """Create the problem and return its loader, for run files.

        Args:
            points: Points per condition, or per face of a condition with several faces.
            steps: Batches per epoch. By default the loader is infinite, and one batch is an epoch.
            every: Draw new points every so many batches; see `FreshPoints`.
            **options: Options of the problem.
        """
        return cls(**options).loader(points, steps, every)

    def relative_l2(self, model: Callable[[Tensor], Tensor], n: int = 100) -> float:
        """Compute the relative L2 error of a model on a grid.

        Args:
            model: A PINN, wrapped or not, or a network: a function of points of shape ``(N, d)``.
                Modules are evaluated in evaluation mode.
            n: Grid points per axis.

        Returns:
            The norm of the error divided by the norm of the solution, over all columns, computed in
            float64.

        Raises:
            ShapeError: The model does not return values of shape ``(N, outputs)``.
        """
        pinn = pinn_in(model)
        network: Any = model if pinn is None else pinn.nn
        is_module = isinstance(network, nn.Module)
        parameter = next(network.parameters(), None) if is_module else None
        grid, truth = self._truth(n)
        with torch.no_grad(), evaluating(network) if is_module else nullcontext():
            u = self.solution(network(grid if parameter is None else grid.to(parameter))).double()
        truth = truth.to(u)
        if u.shape != truth.shape:
            raise ShapeError(
                f"The model returned values of shape {tuple(u.shape)} on a grid of {len(grid)} "
                f"points; expected {tuple(truth.shape)}."
            )
        return float((u - truth).norm() / truth.norm())

    def solution(self, values: Tensor) -> Tensor:
        """Return the columns of the network's outputs that approximate the solution: all."""
        return values

    def errors(self, model: Callable[[Tensor], Tensor], n: int = 100) -> dict[str, float]:
        """Return all errors of a model by name: ``relative_l2``, and others that a problem has."""
        return {"relative_l2": self.relative_l2(model, n)}

    def _truth(self, n: int) -> tuple[Tensor, Tensor]:
        if n not in self._truths:
            grid = self.box.grid(n)
            with torch.no_grad():
                self._truths[n] = grid, self.exact(grid)
        return self._truths[n]


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
