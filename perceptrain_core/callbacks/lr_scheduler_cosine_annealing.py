"""The ``lr_scheduler_cosine_annealing`` callback: lower the learning rate along a cosine."""

from __future__ import annotations

from math import cos, pi

from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.callbacks.support.learning_rate_callback import LearningRateCallback
from perceptrain_core.errors import CallbackError
from perceptrain_core.option_checks import number_faults, refuse
from perceptrain_core.types import TrainingStage


class LRSchedulerCosineAnnealing(LearningRateCallback):
    """Lower the learning rate from its initial value to ``min_lr`` along half a cosine.

    After ``n`` epochs it is ``min_lr + (initial - min_lr) * (1 + cos(pi * n / t_max)) / 2``, as
    in ``torch.optim.lr_scheduler.CosineAnnealingLR``; after ``t_max`` it rises again along the
    same curve.

    Args:
        on: ``"train_epoch_end"``, ``"train_batch_end"``, or the start of either.
        called_every: The number of epochs (batches on a batch stage) between two calls.
        t_max: Epochs, or batches on a batch stage, from the initial rate to ``min_lr``.
        min_lr: The lowest rate.

    Raises:
        CallbackError: An argument is not valid, or the learning rate is 0 when a run starts.
    """

    has_base = True

    def __init__(
        self, on: TrainingStage | str, called_every: int, t_max: int, min_lr: float = 0.0
    ) -> None:
        super().__init__(on, called_every)
        faults = number_faults({"t_max": t_max}, whole=True, at_least=1)
        faults += number_faults({"min_lr": min_lr}, at_least=0)
        refuse(type(self).__name__, faults, CallbackError)
        self.t_max = int(t_max)
        self.min_lr = float(min_lr)

    def begin_run(self, trainer: TrainerContext, resumed: bool) -> None:
        """Start over from the rates of the optimizer, unless the run is resumed.

        Raises:
            CallbackError: All rates are 0, so the weights would never change.
        """
        super().begin_run(trainer, resumed)
        if not resumed and not any(self.rates(trainer)):
            raise CallbackError(
                "The learning rate is 0 when the run starts, perhaps because an earlier run ended "
                "at 0: set optimizer.param_groups[0]['lr'], or a min_lr above 0."
            )

    def rate(self, current: float, initial: float) -> float:
        """Return the rate on the cosine."""
        phase = pi * self.position / self.t_max
        return self.min_lr + (initial - self.min_lr) * (1 + cos(phase)) / 2
