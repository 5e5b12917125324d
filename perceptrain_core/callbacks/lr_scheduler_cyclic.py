"""The ``lr_scheduler_cyclic`` callback: vary the learning rate between two values."""

from __future__ import annotations

from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.callbacks.support.learning_rate_callback import LearningRateCallback
from perceptrain_core.errors import CallbackError
from perceptrain_core.option_checks import number_faults, refuse
from perceptrain_core.types import TrainingStage


class LRSchedulerCyclic(LearningRateCallback):
    """Raise the learning rate from ``base_lr`` to ``max_lr`` and lower it again, in triangles.

    Every parameter group starts the run at ``base_lr``. The rates are those of
    ``torch.optim.lr_scheduler.CyclicLR`` with ``mode="triangular"``.

    Args:
        on: ``"train_epoch_end"``, ``"train_batch_end"``, or the start of either.
        called_every: The number of epochs (batches on a batch stage) between two calls.
        base_lr: The lowest rate.
        max_lr: The highest rate.
        step_size: Epochs, or batches on a batch stage, from ``base_lr`` to ``max_lr``.

    Raises:
        CallbackError: An argument is not valid.
    """

    def __init__(
        self,
        on: TrainingStage | str,
        called_every: int,
        base_lr: float,
        max_lr: float,
        step_size: int,
    ) -> None:
        super().__init__(on, called_every)
        faults = number_faults({"base_lr": base_lr}, at_least=0)
        faults += number_faults({"max_lr": max_lr}, above=0)
        faults += number_faults({"step_size": step_size}, whole=True, at_least=1)
        if not faults and max_lr < base_lr:
            faults = [f"max_lr={max_lr!r}: expected at least base_lr, {base_lr!r}"]
        refuse(type(self).__name__, faults, CallbackError)
        self.base_lr = float(base_lr)
        self.max_lr = float(max_lr)
        self.step_size = int(step_size)

    def begin_run(self, trainer: TrainerContext, resumed: bool) -> None:
        """Start at ``base_lr``, unless the run is resumed."""
        super().begin_run(trainer, resumed)
        if not resumed:
            self.set_rates(trainer)

    def rate(self, current: float, initial: float) -> float:
        """Return the rate on the triangle; the arguments are ignored."""
        phase = self.position % (2 * self.step_size) / self.step_size
        return self.base_lr + (self.max_lr - self.base_lr) * (1 - abs(1 - phase))
