"""The learning rate falls along half a cosine."""

from __future__ import annotations

from math import cos, pi

from perceptrain_core.callbacks.support.arguments import check_count, check_number
from perceptrain_core.callbacks.support.context import TrainerContext
from perceptrain_core.callbacks.support.learning_rate_schedule import LearningRateSchedule
from perceptrain_core.errors import CallbackError
from perceptrain_core.types import TrainingStage


class LRSchedulerCosineAnnealing(LearningRateSchedule):
    """Let the learning rate fall from its initial value to ``min_lr`` along half a cosine.

    After ``n`` epochs it is ``min_lr + (initial - min_lr) * (1 + cos(pi * n / t_max)) / 2``, as
    with ``torch.optim.lr_scheduler.CosineAnnealingLR``; after ``t_max`` it rises again in the same
    way.

    Args:
        on: ``"train_epoch_end"``, ``"train_batch_end"``, or the start of either.
        called_every: Set the rate at every so many epochs, or batches on a batch stage.
        t_max: Epochs, or batches on a batch stage, from the initial rate to ``min_lr``.
        min_lr: The lowest rate.

    Raises:
        CallbackError: An argument that cannot be; when a run starts, a learning rate of 0.
    """

    def __init__(
        self, on: TrainingStage | str, called_every: int, t_max: int, min_lr: float = 0.0
    ) -> None:
        super().__init__(on, called_every)
        self.t_max = check_count("t_max", t_max, 1)
        self.min_lr = check_number("min_lr", min_lr)

    def begin_run(self, trainer: TrainerContext, resumed: bool) -> None:
        """Start over from the rates of the optimizer, unless the run is resumed.

        Raises:
            CallbackError: They are all 0, so that nothing would ever be learned.
        """
        super().begin_run(trainer, resumed)
        if not resumed and not any(self.rates(trainer)):
            raise CallbackError(
                "The learning rate is 0 when the run starts, as an earlier run may have left it: "
                "set optimizer.param_groups[0]['lr'], or a min_lr above 0."
            )

    def rate(self, present: float, initial: float) -> float:
        """Give the rate of the cosine, from the initial one."""
        phase = pi * self.calls * self.called_every / self.t_max
        return self.min_lr + (initial - self.min_lr) * (1 + cos(phase)) / 2
