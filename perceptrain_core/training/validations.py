"""When a fit validates, and what becomes of the figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from perceptrain_core.data import Epochs
from perceptrain_core.random_state import get_random_state, set_random_state
from perceptrain_core.training.averages import Row
from perceptrain_core.training.context import TrainingContext
from perceptrain_core.training.evaluation import Evaluation
from perceptrain_core.training.session import Session
from perceptrain_core.types import TrainingStage as Stage


class Validations:
    """The validations of one fit: after epochs (``val_every``) or steps (``val_every_steps``).

    Args:
        trainer: The trainer; validations after steps are added to its ``validations``.
        val: The validation data by name, if the run validates.
        stopped: Whether a signal asks to stop, which cuts a validation short.

    Attributes:
        every_steps: The number of steps between two validations; 0 if it validates after epochs, or
            not at all.
    """

    def __init__(
        self,
        trainer: TrainingContext,
        val: Mapping[str, Epochs] | None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        config = trainer.config
        self._trainer = trainer
        self._val = val or {}
        self._stopped = stopped
        self._uncounted: set[str] = set()
        self._every = config.val_every if val else 0
        self.every_steps = config.val_every_steps if val else 0

    def is_due_after(self, epoch: int) -> bool:
        """Whether an epoch ends with a validation."""
        return self._every > 0 and epoch % self._every == 0

    def after_epoch(self, session: Session, model: nn.Module, epoch: int, trained: Row) -> Row:
        """Validate at the end of an epoch; return nothing if the validation was stopped.

        Args:
            session: Its callbacks are notified.
            model: The model to evaluate.
            epoch: The epoch.
            trained: The averages of its training.
        """
        return self._validate(session, model, epoch, trained)

    def inside_epoch(self, epoch: int) -> Row:
        """Return the metrics of the last validation inside an epoch, if there was one."""
        last = self._trainer.run_state.validations[-1:]
        rows = [row for row in last if row["epoch"] == epoch]
        return {name: row[name] for row in rows for name in row if name.startswith("val_")}

    def was_cut_short(self) -> bool:
        """Whether the latest step ends with a validation that is not complete."""
        step, rows = self._trainer.run_state.global_step, self._trainer.run_state.validations
        due = self.every_steps > 0 and step > 0 and step % self.every_steps == 0
        return due and not (rows and rows[-1]["step"] == step)

    def after_step(self, session: Session, model: nn.Module) -> None:
        """Validate inside an epoch; call the callbacks that save the run after a validation, too.

        Args:
            session: Its callbacks are notified, and its tracker is written to if the run writes
                metrics.
            model: The model to evaluate.
        """
        state = self._trainer.run_state
        epoch, step = state.current_epoch, state.global_step
        before = state.opt_result.loss, state.opt_result.metrics
        number = step // self.every_steps
        row = self._validate(session, model, number)
        if row:  # otherwise it was stopped, and the run that resumes this one repeats it
            state.validations.append({"epoch": epoch, "step": step, **row})
            if self._trainer.config.write_every:
                session.tracker.write_step(step, epoch, row)
            session.events.notify_savers(Stage.VAL_EPOCH_END, number)
        # Callbacks of the batch that come later look at the batch.
        state.opt_result.loss, state.opt_result.metrics = before

    def _validate(
        self, session: Session, model: nn.Module, number: int, trained: Row | None = None
    ) -> Row:
        random = get_random_state()
        evaluation = Evaluation(
            self._trainer, session.events, model, self._stopped, self._uncounted
        )
        row = evaluation.validate(self._val, number, trained)
        if not row:  # stopped; the run that resumes this one repeats it with the same numbers
            set_random_state(random)
        return row
