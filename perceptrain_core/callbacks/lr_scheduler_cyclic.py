"""The learning rate goes up and down between two values."""

from __future__ import annotations

from perceptrain_core.callbacks.support.arguments import check_count, check_number
from perceptrain_core.callbacks.support.context import TrainerContext
from perceptrain_core.callbacks.support.learning_rate_schedule import LearningRateSchedule
from perceptrain_core.errors import CallbackError
from perceptrain_core.types import TrainingStage


class LRSchedulerCyclic(LearningRateSchedule):
    """Let the learning rate rise from ``base_lr`` to ``max_lr`` and fall back, in triangles.

    Every parameter group starts the run at ``base_lr``. The rates are those of
    ``torch.optim.lr_scheduler.CyclicLR`` in its mode ``"triangular"``.

    Args:
        on: ``"train_epoch_end"``, ``"train_batch_end"``, or the start of either.
        called_every: Set the rate at every so many epochs, or batches on a batch stage.
        base_lr: The lowest rate.
        max_lr: The highest rate.
        step_size: Epochs, or batches on a batch stage, from one to the other.

    Raises:
        CallbackError: An argument that cannot be.
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
        self.base_lr = check_number("base_lr", base_lr)
        self.max_lr = check_number("max_lr", max_lr, above=0)
        if self.max_lr < self.base_lr:
            raise CallbackError(
                f"max_lr must be at least base_lr, {base_lr!r}, but it is {max_lr!r}."
            )
        self.step_size = check_count("step_size", step_size, 1)

    def begin_run(self, trainer: TrainerContext, resumed: bool) -> None:
        """Start at ``base_lr``, unless the run is resumed."""
        super().begin_run(trainer, resumed)
        if not resumed:
            self.set_rates(trainer)

    def rate(self, present: float, initial: float) -> float:
        """Give the rate of the triangle; the others play no part."""
        position = self.calls * self.called_every % (2 * self.step_size) / self.step_size
        return self.base_lr + (self.max_lr - self.base_lr) * (1 - abs(1 - position))
