"""The base of the learning-rate callbacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.callbacks.support.once_per_epoch import OncePerEpoch
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CallbackError
from perceptrain_core.optimizer_steps import stages_of
from perceptrain_core.schedules.rates import rate_groups, set_rate
from perceptrain_core.types import TrainingStage


class LearningRateCallback(OncePerEpoch):
    """Set the learning rate of every parameter group by a rule.

    Subclasses override `rate`. Rules that use the current rate can be combined. Rules that follow a
    curve use the initial rate instead, so an optimizer can have only one of these.

    Args:
        on: The stage.
        called_every: The number of epochs (batches on a batch stage) between two calls.

    Attributes:
        calls: How often the rates have been set in this run.
        initial_rates: The rate of each parameter group at the first call of the run; empty before
            it. A resumed run keeps them. In a sequence of optimizers, the rates of the active one
            without a schedule.
        has_base: Whether the rule multiplies a base rate, which in a sequence of optimizers is that
            of the active one.

    Raises:
        CallbackError: The stage or ``called_every`` is not allowed, or, during the fit, the
            optimizer has no learning rates.
    """

    has_base: ClassVar[bool] = False
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
        current = self.rates(trainer)
        # For a group that was added later, the initial rate is its rate now.
        self.initial_rates += current[len(self.initial_rates) :]
        if self.has_base and _is_sequence(trainer):
            # A switch multiplies the rates and replaces these, as for a schedule of torch.
            groups = self._groups(trainer)
            self.initial_rates = [g.setdefault("initial_lr", float(g["lr"])) for g in groups]
        rates = [self.rate(*both) for both in zip(current, self.initial_rates, strict=False)]
        for group, rate in zip(self._groups(trainer), rates, strict=True):
            set_rate(group, rate)

    def update(self, trainer: TrainerContext, config: TrainConfig) -> None:
        """Count the call and set the rates."""
        self.calls += 1
        self.set_rates(trainer)

    def begin_run(self, trainer: TrainerContext, resumed: bool) -> None:
        """Start over from the current rates, unless the run is resumed."""
        super().begin_run(trainer, resumed)
        if not resumed and trainer.config.lr_scheduler is None and _is_sequence(trainer):
            for group in self._groups(trainer):
                group.pop("initial_lr", None)

    def reset(self) -> None:
        """Start over: the next call records the initial rates."""
        super().reset()
        self.calls, self.initial_rates = 0, []

    def state_dict(self) -> dict[str, Any]:
        """Return the number of calls and the initial rates."""
        own = {"calls": self.calls, "initial_rates": list(self.initial_rates)}
        return super().state_dict() | own

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the number of calls and the initial rates."""
        super().load_state_dict(state)
        self.calls, self.initial_rates = state["calls"], list(state["initial_rates"])

    def _groups(self, trainer: TrainerContext) -> list[dict[str, Any]]:
        return rate_groups(trainer.optimizer, type(self).__name__, CallbackError)


def _is_sequence(trainer: TrainerContext) -> bool:
    return len(stages_of(trainer.optimizer)) > 1
