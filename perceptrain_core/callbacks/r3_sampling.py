"""The ``r3_sampling`` callback: resample collocation points where the residual is low."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.config import TrainConfig
from perceptrain_core.data.r3 import R3Dataset
from perceptrain_core.data.support.device import data_to_device
from perceptrain_core.errors import CallbackError
from perceptrain_core.models.modes import evaluating
from perceptrain_core.option_checks import check_callable
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.types import TrainingStage

#: ``fitness_function(points, model)`` returns a number for each point.
FitnessFunction: TypeAlias = Callable[[Tensor, nn.Module], Tensor]


class R3Sampling(Callback):
    """Update an `R3Dataset` by the fitness of its points (arXiv 2207.02338).

    It runs at the start of an epoch, before the data are read, so that the epoch trains on the new
    points; with ``called_every=n`` in epochs n, 2n and so on. The data set is changed in place, and
    its points are saved in checkpoints. ::

        data = R3Dataset(lambda n: torch.rand(n, 2), n_samples=1000)
        r3 = R3Sampling(data, lambda points, pinn: pinn({"pde": points})["pde"].abs())

    Args:
        initial_dataset: The training data set.
        fitness_function: ``fitness_function(points, model)`` returns a tensor of shape ``(n,)`` or
            ``(n, 1)``. The points, of shape ``(n, d)``, require gradients, and gradients are
            enabled; the model is in evaluation mode. The result is detached.
        verbose: Print how many points each update keeps, unless ``config.verbose`` is false.
        called_every: The number of epochs between two updates.

    Attributes:
        dataset: The data set.

    Raises:
        CallbackError: ``initial_dataset`` is not an ``R3Dataset``, or ``fitness_function``
            cannot be called as described.
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
                f"initial_dataset is of type {type(initial_dataset).__name__}; expected the "
                "R3Dataset that the model is trained on."
            )
        if fitness_function is None:
            raise CallbackError("fitness_function is None; expected f(points, model) -> fitness.")
        check_callable(fitness_function, "fitness_function", ("points", "model"))
        self.dataset = initial_dataset
        self.fitness_function = fitness_function
        self.verbose = verbose

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Evaluate the fitness of all points and update the data set.

        Raises:
            ShapeError: The fitness is not one number for each point.
        """
        data = self.dataset
        points = data_to_device(
            data.features.clone(), trainer.opt_result.device, config.float_dtype
        )
        data.update(self._fitness(points, trainer.model))
        if trainer.engine.world_size > 1:  # use the points of the first process in all of them
            data.load_state_dict(trainer.engine.broadcast(data.state_dict()))
        if self.verbose and config.verbose:
            print(
                f"Epoch {trainer.current_epoch}: R3 kept {data.n_retained} of {len(data)} points "
                f"and resampled {data.n_released}."
            )

    def _fitness(self, points: Tensor, model: nn.Module) -> Tensor:
        # Residuals are derivatives with respect to the points, even if gradients are disabled.
        with evaluating(model), torch.inference_mode(False), torch.enable_grad():
            if points.is_floating_point():
                points.requires_grad_()
            fitness = self.fitness_function(points, model)
        return fitness.detach() if isinstance(fitness, Tensor) else fitness

    def state_dict(self) -> dict[str, Any]:
        """Return the points."""
        return {"dataset": self.dataset.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the points of the data set."""
        self.dataset.load_state_dict(state["dataset"])
