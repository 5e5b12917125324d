"""Move the points of a data set to where the model is worst, as training goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from perceptrain_core.callbacks.base import Callback, check_call
from perceptrain_core.callbacks.support.context import TrainerContext
from perceptrain_core.config import TrainConfig
from perceptrain_core.data.device import data_to_device
from perceptrain_core.data.r3 import R3Dataset
from perceptrain_core.errors import CallbackError
from perceptrain_core.models.modes import evaluating
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.types import TrainingStage

#: ``fitness_function(points, model)`` gives a number for each point.
FitnessFunction: TypeAlias = Callable[[Tensor, nn.Module], Tensor]


class R3Sampling(Callback):
    """Update an `R3Dataset` by the fitness of its points (arXiv 2207.02338).

    It runs at the start of an epoch, before the data are read, so that this very epoch trains on
    the new points; with ``called_every=n`` in the epochs n, 2n and so on. The data set that was
    given is the one that changes, and its points are kept in checkpoints. ::

        data = R3Dataset(lambda n: torch.rand(n, 2), n_samples=1000)
        r3 = R3Sampling(data, lambda points, pinn: pinn({"pde": points})["pde"].abs())

    Args:
        initial_dataset: The data set that is trained on.
        fitness_function: ``fitness_function(points, model)`` gives a tensor of shape ``(n,)`` or
            ``(n, 1)``. The points, of shape ``(n, d)``, record gradients, and gradients are on;
            the model is in evaluation mode. What it returns is detached.
        verbose: Print at each update how many points were kept, unless ``config.verbose`` is
            false.
        called_every: Update in every so many epochs.

    Attributes:
        dataset: The data set.

    Raises:
        CallbackError: It is no ``R3Dataset``, or the function cannot be called like this.
    """

    def __init__(
        self,
        initial_dataset: R3Dataset,
        fitness_function: FitnessFunction,
        verbose: bool = False,
        called_every: int = 1,
    ) -> None:
        super().__init__(TrainingStage.TRAIN_EPOCH_START, called_every)
        if not isinstance(initial_dataset, R3Dataset):
            raise CallbackError(
                f"initial_dataset is of type {type(initial_dataset).__name__}; expected an "
                "R3Dataset, the one that is trained on."
            )
        if fitness_function is None:
            raise CallbackError("fitness_function is None; expected f(points, model) -> fitness.")
        check_call(fitness_function, "fitness_function", ("points", "model"))
        self.dataset = initial_dataset
        self.fitness_function = fitness_function
        self.verbose = verbose

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Evaluate the fitness of all points, and update the data set.

        Raises:
            ShapeError: The fitness is not one number for each point.
        """
        data = self.dataset
        points = data_to_device(data.features.clone(), trainer.opt_result.device, config.dtype)
        data.update(self._fitness(points, trainer.model))
        if trainer.engine.world_size > 1:  # each has drawn points of its own
            data.load_state_dict(trainer.engine.broadcast(data.state_dict()))
        if self.verbose and config.verbose:
            print(
                f"Epoch {trainer.current_epoch}: R3 kept {data.n_retained} of {len(data)} points "
                f"and drew {data.n_released} anew."
            )

    def _fitness(self, points: Tensor, model: nn.Module) -> Tensor:
        # Residuals are derivatives with respect to the points, also where gradients are off.
        with evaluating(model), torch.inference_mode(False), torch.enable_grad():
            if points.is_floating_point():
                points.requires_grad_()
            fitness = self.fitness_function(points, model)
        return fitness.detach() if isinstance(fitness, Tensor) else fitness

    def state_dict(self) -> dict[str, Any]:
        """The points."""
        return {"dataset": self.dataset.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Give the points back to the data set."""
        self.dataset.load_state_dict(state["dataset"])
