"""The ``lr_scheduler_step_decay`` callback: multiply the learning rate by a factor."""

from __future__ import annotations

from perceptrain_core.callbacks.support.learning_rate_callback import LearningRateCallback
from perceptrain_core.errors import CallbackError
from perceptrain_core.option_checks import number_faults, refuse
from perceptrain_core.types import TrainingStage


class LRSchedulerStepDecay(LearningRateCallback):
    """Multiply the learning rate by ``gamma`` at each call.

    The rates are those of ``torch.optim.lr_scheduler.StepLR`` with ``step_size=called_every``.

    Args:
        on: ``"train_epoch_end"``, ``"train_batch_end"``, or the start of either.
        called_every: The number of epochs (batches on a batch stage) between two calls.
        gamma: The factor.

    Raises:
        CallbackError: An argument is not valid.
    """

    has_base = True

    def __init__(
        self,
        on: TrainingStage | str = TrainingStage.TRAIN_EPOCH_END,
        called_every: int = 1,
        gamma: float = 0.5,
    ) -> None:
        super().__init__(on, called_every)
        refuse(type(self).__name__, number_faults({"gamma": gamma}, above=0), CallbackError)
        self.gamma = float(gamma)

    def rate(self, current: float, initial: float) -> float:
        """Return the current rate times ``gamma``."""
        return current * self.gamma
