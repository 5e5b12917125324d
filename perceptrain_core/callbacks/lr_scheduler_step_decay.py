"""The learning rate falls by a factor, every so often."""

from __future__ import annotations

from perceptrain_core.callbacks.support.arguments import check_number
from perceptrain_core.callbacks.support.learning_rate_schedule import LearningRateSchedule
from perceptrain_core.types import TrainingStage


class LRSchedulerStepDecay(LearningRateSchedule):
    """Multiply the learning rate by ``gamma`` at each call.

    The rates are those of ``torch.optim.lr_scheduler.StepLR`` with ``step_size=called_every``.

    Args:
        on: ``"train_epoch_end"``, ``"train_batch_end"``, or the start of either.
        called_every: Every so many epochs, or batches on a batch stage.
        gamma: The factor.

    Raises:
        CallbackError: An argument that cannot be.
    """

    def __init__(
        self,
        on: TrainingStage | str = TrainingStage.TRAIN_EPOCH_END,
        called_every: int = 1,
        gamma: float = 0.5,
    ) -> None:
        super().__init__(on, called_every)
        self.gamma = check_number("gamma", gamma, above=0)

    def rate(self, present: float, initial: float) -> float:
        """Give the present rate times ``gamma``."""
        return present * self.gamma
