"""The base of the learning-rate callbacks: when a rule of ``schedules`` is applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.callbacks.support.once_per_epoch import OncePerEpoch
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CallbackError
from perceptrain_core.schedules.rates import rate_groups
from perceptrain_core.schedules.rules import RuleProgress
from perceptrain_core.types import TrainingStage


class LearningRateCallback(OncePerEpoch):
    """Set the learning rate of every parameter group by a rule.

    Subclasses override `rate`. A rule that uses the current rate can be combined with others of
    its kind. A rule that follows a curve uses the initial rate; an optimizer can have one of these.
    The initial rates are those at the first call of a run, and a resumed run keeps them.

    Args:
        on: The stage.
        called_every: The number of epochs (batches on a batch stage) between two calls.

    Raises:
        CallbackError: The stage or the interval is not allowed, or, during the fit, the optimizer
            has no learning rates.
    """

    stages: ClassVar[frozenset[TrainingStage]] = frozenset(
        {
            TrainingStage.TRAIN_EPOCH_START,
            TrainingStage.TRAIN_EPOCH_END,
            TrainingStage.TRAIN_BATCH_START,
            TrainingStage.TRAIN_BATCH_END,
        }
    )

    def __init__(
        self, on: TrainingStage | str = TrainingStage.TRAIN_EPOCH_END, called_every: int = 1
    ) -> None:
        super().__init__(on, called_every)
        self.progress = RuleProgress()

    @property
    def calls(self) -> int:
        """How often the rates have been set in this run."""
        return self.progress.calls

    @property
    def initial_rates(self) -> list[float]:
        """The initial rate of each parameter group; empty before the first call."""
        return self.progress.initial_rates

    @property
    def position(self) -> int:
        """The number of epochs or batches that the calls so far stand for."""
        return self.calls * self.called_every

    def rate(self, current: float, initial: float) -> float:
        """Return the new rate of a parameter group.

        Args:
            current: Its rate now.
            initial: Its rate at the first call.
        """
        raise NotImplementedError

    def rates(self, trainer: TrainerContext) -> list[float]:
        """Return the current rate of each parameter group."""
        return [float(group["lr"]) for group in self._groups(trainer)]

    def set_rates(self, trainer: TrainerContext) -> None:
        """Set the rate of each parameter group by the rule."""
        self.progress.apply(self._groups(trainer), self.rate)

    def update(self, trainer: TrainerContext, config: TrainConfig) -> None:
        """Count the call and set the rates."""
        self.progress.calls += 1
        self.set_rates(trainer)

    def begin_run(self, trainer: TrainerContext, resumed: bool) -> None:
        """Start over, unless the run is resumed."""
        super().begin_run(trainer, resumed)
        if not resumed:
            self.progress.reset()

    def state_dict(self) -> dict[str, Any]:
        """Return the progress of the rule."""
        return {**super().state_dict(), "progress": self.progress.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the progress of the rule."""
        super().load_state_dict(state)
        self.progress.load_state_dict(state["progress"])

    def _groups(self, trainer: TrainerContext) -> list[dict[str, Any]]:
        return rate_groups(trainer.optimizer, type(self).__name__, CallbackError)
