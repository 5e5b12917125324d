"""The base class of problems: conditions, points, known solution, and the error of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from math import inf, sqrt
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain import PINN, get_model
from perceptrain.errors import ConfigError, DataError, ShapeError
from perceptrain_physics.box import Box, Sampler
from perceptrain_physics.checks import check_flags, check_numbers, described, is_list
from perceptrain_physics.fresh_points import FreshPoints
from perceptrain_physics.inputs import coordinates, other_inputs, values_at
from perceptrain_physics.models.hard_boundary import HardBoundary
from perceptrain_physics.models.periodic import Periodic
from perceptrain_physics.problems.condition import Condition, checked_conditions, scaled
from perceptrain_physics.problems.network_check import check_network, coordinates_of
from perceptrain_physics.problems.options import with_options
from perceptrain_physics.wrapped import pinn_in


class Problem(ABC):
    """A differential equation with its conditions and, if it is known, its solution. ::

        problem = Helmholtz()
        model = problem.pinn("modified_mlp")
        Trainer(model, "adam", TrainConfig(max_iter=10_000)).fit(problem.loader())
        print(problem.relative_l2(model))

    A problem of your own has a box, ``inputs`` and `conditions`. If you know the solution, define
    `exact`; only the errors need it.

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

    Raises:
        ConfigError: ``box`` is not a `Box`, ``inputs`` does not have a letter for each of its
            coordinates, or ``hard`` is not a bool.
    """

    inputs: Sequence[str]
    outputs: int = 1
    periods: Sequence[float | None] | None = None
    built_in: Sequence[str] = ("initial", "boundary")

    def __init__(self, box: Box, hard: bool = False) -> None:
        name = type(self).__name__
        if not isinstance(box, Box):
            raise ConfigError(
                f"{name}: the box is {described(box)}; expected a Box, such as "
                "Box(low=[0, 0], high=[1, 1])."
            )
        check_flags(name, hard=hard)
        self.box = box
        self.hard = bool(hard)
        self._truths: dict[int, tuple[Tensor, Tensor]] = {}
        self._check_inputs()

    @abstractmethod
    def conditions(self) -> dict[str, Condition]:
        """Return the conditions of the problem by name, the equation itself first."""

    def exact(self, points: Tensor) -> Tensor:
        """Return the solution, ``(N, outputs)``, at points ``(N, d)``, in the same dtype.

        The problems of this plugin accept NumPy arrays, too.

        Raises:
            ConfigError: The solution is not known.
            DataError: The points are not numbers.
            ShapeError: The points have another shape.
        """
        name = type(self).__name__
        raise ConfigError(
            f"{name} has no known solution to compare with: define exact(self, points) in the "
            "class, which returns it. Without a solution, validate on other points, and monitor "
            '"val_loss".'
        )

    @property
    def has_solution(self) -> bool:
        """Whether the solution is known: the class defines `exact`."""
        return type(self).exact is not Problem.exact

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
        self._check_inputs()
        conditions = checked_conditions(type(self).__name__, self.conditions())
        built_in = self.built_in if self.hard else ()
        return {name: each for name, each in conditions.items() if name not in built_in}

    def _check_inputs(self) -> None:
        inputs, d = getattr(self, "inputs", None), len(self.box.low)
        if inputs is None or (isinstance(inputs, Sequence) and len(inputs) == d):
            return
        raise ConfigError(
            f"{type(self).__name__}: inputs={inputs!r}, and the box has {coordinates(d)}; expected "
            "a letter for each coordinate, in order."
        )

    @property
    def equations(self) -> dict[str, Callable[[Tensor, nn.Module], Tensor]]:
        """The residuals by name, the argument of a PINN: ``PINN(network, problem.equations)``."""
        return {name: scaled(condition) for name, condition in self._trained().items()}

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

        Raises:
            ConfigError: ``hidden`` is not a list of sizes, or there are options for a network that
                exists already.
            ShapeError: The network has another number of inputs or outputs than the problem.
        """
        mean, deviation = self._standardization()
        if isinstance(network, str):
            if not is_list(hidden):
                raise ConfigError(
                    f"hidden={hidden!r:.100}: expected a list with the sizes of the hidden layers, "
                    "such as hidden=[50, 50]."
                )
            network = {
                "name": network,
                "layers": [len(mean), *hidden, self.outputs],
                "mean": mean,
                "deviation": deviation,
                **options,
            }
        elif options:
            raise ConfigError(
                f"{', '.join(options)}: expected no options, because the network is given as "
                f"{described(network)}. Set them in the network itself, or pass its name."
            )
        inner = get_model(network)
        model = PINN(self.complete(inner), self.equations)
        check_network(self, inner, model.nn, len(mean))
        return model

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
        return with_options(cls, cls.__name__, options).loader(points, steps, every)

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
            ConfigError: The solution is not known, or is zero on the whole grid, or ``n`` is not a
                whole number of at least 2.
            DataError: ``model`` cannot be called, or does not return a tensor.
            ShapeError: The model does not return values of shape ``(N, outputs)``.
        """
        name = type(self).__name__
        if not callable(model) or isinstance(model, type):
            raise DataError(
                f"model is {described(model)}; expected the model itself, such as "
                "problem.pinn(), or a function of points of shape (N, d)."
            )
        grid, truth = self._truth(n)
        pinn = pinn_in(model)
        network: Any = model if pinn is None else pinn.nn
        try:
            values = values_at(network, grid)
        except (ShapeError, RuntimeError) as error:
            found = other_inputs(network, grid.shape[1])
            if found is None:
                raise
            raise ShapeError(
                f"The model is a function of {coordinates(found)}, and {name} has "
                f"{coordinates_of(self)}; expected a model of this problem, such as "
                "problem.pinn(). Compare the model with the problem that it was built for."
            ) from error
        if not isinstance(values, Tensor):
            raise DataError(
                f"The model returned {described(values)}; expected a tensor with a row for each "
                "point."
            )
        u = self.solution(values).double()
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
        name = type(self).__name__
        check_numbers(name, n=n, whole=True, at_least=2, advice="It is the points per axis.")
        if n not in self._truths:
            grid = self.box.grid(n)
            with torch.no_grad():
                truth = self.exact(grid)
            if not isinstance(truth, Tensor) or truth.shape != (len(grid), self.outputs):
                raise ShapeError(
                    f"{name}.exact returned {described(truth)} for {len(grid)} points; expected a "
                    f"tensor of shape ({len(grid)}, {self.outputs}). Keep columns as points[:, :1]."
                )
            if not truth.any():
                raise ConfigError(
                    f"The solution of {name} is 0 at all points of the grid, n={n}, so that no "
                    "error is relative to it. Use more points per axis; if the solution is 0 "
                    "everywhere, compute the absolute error yourself."
                )
            self._truths[n] = grid, truth
        return self._truths[n]


def require_whole(problem: Problem, **numbers: float) -> None:
    """Check options that must be whole numbers above 0, such as numbers of half waves.

    Raises:
        ConfigError: An option is not a whole number above 0.
    """
    wrong = [f"{name}={value!r:.100}" for name, value in numbers.items() if not _is_whole(value)]
    if wrong:
        raise ConfigError(
            f"{type(problem).__name__}: {', '.join(wrong)}; expected whole numbers above 0, "
            "because the solution is zero at both ends."
        )


def _is_whole(value: Any) -> bool:
    number = isinstance(value, Real) and not isinstance(value, bool)
    return number and 0 < value < inf and value == int(value)


def side_by_side(*residuals: Tensor) -> Tensor:
    """Concatenate residuals of shape ``(N, 1)`` as columns."""
    return torch.cat(residuals, dim=1)
