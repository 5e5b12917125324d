"""The base of learning-rate schedules: a rate as a function of how far the run is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from perceptrain_core.callbacks.support.context import TrainerContext
from perceptrain_core.callbacks.support.once_per_epoch import OncePerEpoch
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CallbackError
from perceptrain_core.schedules.rates import set_rate
from perceptrain_core.types import TrainingStage


class LearningRateSchedule(OncePerEpoch):
    """Set the learning rate of every parameter group, each from its own.

    Subclasses override `rate`. One that only multiplies works with the present rate, and so
    together with others of its kind. One that follows a curve works with the initial rate, which is
    kept here, so that nothing adds up; an optimizer can have one of those. A run that is not
    resumed takes the rates that its optimizer has at the first call as the initial ones; one that
    is resumed goes on with the very same rates.

    Args:
        on: The stage.
        called_every: Run at every so many epochs, or batches on a batch stage.

    Attributes:
        calls: How many times the rate has been set in this run.
        initial_rates: The initial rate of each parameter group; empty before the first call.

    Raises:
        CallbackError: A stage or an interval that cannot be; during the fit, an optimizer without
            learning rates.
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
        self.calls = 0
        self.initial_rates: list[float] = []

    def rate(self, present: float, initial: float) -> float:
        """Give the rate after ``self.calls`` calls, this one among them.

        Args:
            present: The rate that the parameter group has.
            initial: The rate that it had at first.
        """
        raise NotImplementedError

    def update(self, trainer: TrainerContext, config: TrainConfig) -> None:
        """Count the call, and set the rates."""
        self.calls += 1
        self.set_rates(trainer)

    def rates(self, trainer: TrainerContext) -> list[float]:
        """Give the present rate of each parameter group.

        Raises:
            CallbackError: The optimizer has no parameter groups with learning rates.
        """
        groups = getattr(trainer.optimizer, "param_groups", None)
        if groups and all("lr" in group for group in groups):
            return [float(group["lr"]) for group in groups]
        raise CallbackError(
            f"{type(self).__name__} sets learning rates, and {type(trainer.optimizer).__name__} "
            "has none: use an optimizer of torch.optim, or leave the callback out."
        )

    def set_rates(self, trainer: TrainerContext) -> None:
        """Give each parameter group the rate that `rate` has for it.

        Raises:
            CallbackError: The optimizer has no parameter groups with learning rates.
        """
        present = self.rates(trainer)
        # A group that was added later starts with what it has then.
        self.initial_rates += present[len(self.initial_rates) :]
        rates = [self.rate(*both) for both in zip(present, self.initial_rates, strict=False)]
        for group, rate in zip(trainer.optimizer.param_groups, rates, strict=True):
            set_rate(group, rate)

    def begin_run(self, trainer: TrainerContext, resumed: bool) -> None:
        """Start over, unless the run is resumed."""
        super().begin_run(trainer, resumed)
        if not resumed:
            self.calls, self.initial_rates = 0, []

    def state_dict(self) -> dict[str, Any]:
        """The calls and the initial rates."""
        return {
            **super().state_dict(),
            "calls": self.calls,
            "initial_rates": list(self.initial_rates),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        super().load_state_dict(state)
        self.calls, self.initial_rates = state["calls"], list(state["initial_rates"])
