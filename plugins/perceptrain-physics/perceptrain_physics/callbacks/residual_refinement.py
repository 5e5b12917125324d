"""Gather points where the residual is large, as training goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn

from perceptrain import Callback
from perceptrain.data import data_to_device
from perceptrain.errors import CallbackError
from perceptrain_physics.refined_points import RefinedPoints
from perceptrain_physics.wrapped import evaluating, pinn_in

if TYPE_CHECKING:
    from perceptrain import Tracker, TrainConfig
    from perceptrain.callbacks import TrainerContext

#: ``fitness(points, model)`` gives a number for each point.
Fitness: TypeAlias = Callable[[Tensor, nn.Module], Tensor]


class ResidualRefinement(Callback):
    """Update `RefinedPoints` by the residual of candidates that are drawn anew each time.

    It runs at the start of an epoch, before the data are read; with ``called_every=n`` in the
    epochs n, 2n and so on. The points are kept in checkpoints. ::

        points = RefinedPoints(problem.samplers["pde"], 1000, "rad")
        refine = ResidualRefinement(points, "pde", called_every=100)

    Args:
        dataset: The data set that is trained on, or a part of it.
        fitness: The name of an equation of the PINN: the size of its residual counts, summed over
            columns. Or ``fitness(points, model)``, which gives a tensor of shape ``(n,)`` or
            ``(n, 1)``; the points record gradients, and gradients are on.
        candidates: How many are drawn.
        called_every: Update in every so many epochs.

    Attributes:
        dataset: The data set.

    Raises:
        CallbackError: It is no ``RefinedPoints``, or the fitness is neither a name nor a function.
    """

    def __init__(
        self,
        dataset: RefinedPoints,
        fitness: str | Fitness,
        candidates: int = 10_000,
        called_every: int = 1,
    ) -> None:
        super().__init__("train_epoch_start", called_every)
        if not isinstance(dataset, RefinedPoints):
            raise CallbackError(
                f"dataset is of type {type(dataset).__name__}; expected RefinedPoints, those that "
                "are trained on."
            )
        if not isinstance(fitness, str) and not callable(fitness):
            raise CallbackError(
                f"fitness={fitness!r}: expected the name of an equation, or a function "
                "fitness(points, model)."
            )
        self.dataset = dataset
        self.fitness: Fitness = residual_size(fitness) if isinstance(fitness, str) else fitness
        self.candidates = candidates

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Draw candidates, and update the data set by their fitness."""
        drawn = self.dataset.sample(self.candidates)
        points = data_to_device(drawn, trainer.opt_result.device, config.dtype)
        with evaluating(trainer.model), torch.enable_grad():
            fitness = self.fitness(points.detach().clone().requires_grad_(), trainer.model)
        self.dataset.update(drawn.to(fitness.device), fitness.detach())

    def state_dict(self) -> dict[str, Any]:
        """The points."""
        return {"dataset": self.dataset.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Give the points back to the data set."""
        self.dataset.load_state_dict(state["dataset"])


def residual_size(name: str) -> Fitness:
    """Give the fitness that is the size of the residual of one equation of a PINN.

    Args:
        name: The name of the equation.

    Returns:
        A function of points and a model, which raises a CallbackError where the model is no PINN
        with that equation.
    """

    def fitness(points: Tensor, model: nn.Module) -> Tensor:
        pinn = pinn_in(model)
        if pinn is None or name not in pinn.equations:
            raise CallbackError(
                f"There is no equation {name!r} in {type(model).__name__}; it has "
                f"{', '.join(pinn.equations) if pinn else 'none'}. Give a function "
                "fitness(points, model)."
            )
        residual: Tensor = pinn.equations[name](points, pinn.nn)
        return residual.detach().abs().reshape(len(points), -1).sum(1)

    return fitness
