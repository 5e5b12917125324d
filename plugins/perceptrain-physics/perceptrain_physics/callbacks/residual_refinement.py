"""Residual-based refinement of the training points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from perceptrain import Callback
from perceptrain.data import data_to_device
from perceptrain.errors import CallbackError
from perceptrain_physics.checks import check_numbers
from perceptrain_physics.fitness import Fitness, residual_size
from perceptrain_physics.refined_points import RefinedPoints
from perceptrain_physics.wrapped import evaluating

if TYPE_CHECKING:
    from perceptrain import Tracker, TrainConfig
    from perceptrain.callbacks import TrainerContext


class ResidualRefinement(Callback):
    """Update `RefinedPoints` by the residual at newly drawn candidates.

    Runs at the start of an epoch, before the data are read; with ``called_every=n`` in epochs n, 2n
    and so on. Checkpoints include the points. ::

        points = RefinedPoints(problem.samplers["pde"], 1000, "rad")
        refine = ResidualRefinement(points, "pde", called_every=100)

    Args:
        dataset: The training points, or one of several sets of training points.
        fitness: The name of an equation of the PINN, for its absolute residual summed over
            columns. Or ``fitness(points, model)``, which returns a tensor of shape ``(n,)`` or
            ``(n, 1)``; it is called with gradients enabled and points that require them.
        candidates: The number of candidates.
        called_every: Interval in epochs.

    Attributes:
        dataset: The data set.

    Raises:
        CallbackError: ``dataset`` is not a ``RefinedPoints``, ``fitness`` is neither a name nor a
            function, or ``candidates`` is not a whole number above 0.
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
                f"dataset is of type {type(dataset).__name__}; expected the RefinedPoints that the "
                "model is trained on."
            )
        if not isinstance(fitness, str) and not callable(fitness):
            raise CallbackError(
                f"fitness={fitness!r}: expected the name of an equation, or a function "
                "fitness(points, model)."
            )
        check_numbers("", candidates=candidates, whole=True, at_least=1, error=CallbackError)
        self.dataset = dataset
        self.fitness: Fitness = residual_size(fitness) if isinstance(fitness, str) else fitness
        self.candidates = candidates

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Draw candidates and update the data set by their fitness."""
        drawn = self.dataset.sample(self.candidates)
        points = data_to_device(drawn, trainer.opt_result.device, config.float_dtype)
        with evaluating(trainer.model), torch.enable_grad():
            fitness = self.fitness(points.detach().clone().requires_grad_(), trainer.model)
        self.dataset.update(drawn.to(fitness.device), fitness.detach())

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the data set."""
        return {"dataset": self.dataset.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of the data set."""
        self.dataset.load_state_dict(state["dataset"])
