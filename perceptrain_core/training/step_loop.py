"""The loop over the steps of an epoch."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from perceptrain_core.training.averages import reduce_result
from perceptrain_core.training.contract.nonfinite_guard import LossGuard
from perceptrain_core.training.contract.standstill import StandstillWatch
from perceptrain_core.training.events import Events
from perceptrain_core.training.limits import Limits
from perceptrain_core.training.progress_bar import ProgressBar
from perceptrain_core.training.resume.checkpoint_state import SavedRun
from perceptrain_core.training.steppers.base import Stepper
from perceptrain_core.training.stop_signals import StopSignals
from perceptrain_core.training.validations import Validations
from perceptrain_core.types import StepResult
from perceptrain_core.types import TrainingStage as Stage


class SteppedRun(SavedRun, Protocol):
    """What the loop uses of a fit.

    Attributes:
        guard: The loss as the steps call it.
        stepper: How steps are taken.
        validations: The validations.
        signals: Signals that stop the run.
        limits: The limits of the steps and the time.
        watch: Notices a run that trains nothing.
    """

    guard: LossGuard
    stepper: Stepper
    validations: Validations
    signals: StopSignals
    limits: Limits
    watch: StandstillWatch

    def validate_after_step(self) -> None:
        """Validate inside an epoch."""


class StepLoop:
    """Take the steps of each epoch, and what follows a step.

    What a step needs is looked up once: some epochs have a single step.

    Args:
        run: The fit, restored if it is resumed.
        events: Notified of each batch.
        bar: Shows the progress.
    """

    def __init__(self, run: SteppedRun, events: Events, bar: ProgressBar) -> None:
        self._run = run
        self._events = events
        self._bar = bar
        self._engine = run.engine
        self._starts = Stage.TRAIN_BATCH_START in events.stages
        self._ends = Stage.TRAIN_BATCH_END in events.stages
        self._val_every = run.validations.every_steps
        # Processes agree on a stop after a step only if a callback could have asked for one.
        self._asks_often = self._starts or self._ends or run.engine.world_size == 1
        self._may_stop = self._asks_often or self._val_every > 0
        parts = run.parts
        self._has_followers = (
            run.config.log_grad_norm
            or parts.schedule is not None
            or parts.averaged_model is not None
        )

    def train_epoch(self) -> bool:
        """Train until the end of the epoch, or until the run stops; return whether it is complete.

        A signal, or the end of the time, stops even a complete epoch before its validation.
        """
        run, engine, bar, state = self._run, self._engine, self._bar, self._run.state
        position, limits, signals, watch = run.position, run.limits, run.signals, run.watch
        take_step, add, ends, val_every = (
            run.stepper.take,
            run.averages.add,
            self._ends,
            self._val_every,
        )
        per_epoch, complete = position.batches_of_epoch, False
        may_stop = self._may_stop and not engine.any(state.stop_training)
        for batches in position.steps():
            first = state.batches_seen + 1
            state.batches_seen += len(batches)
            if self._starts:
                self._start_step(first, batches)
            results, stepped = take_step(batches)
            for batch, result in zip(batches, results, strict=True):
                if result is not None:
                    add(*result, batch)
            if stepped:
                state.global_step += 1
                if self._has_followers:
                    self._follow_step()
                if state.global_step >= watch.next:
                    watch.look(state.global_step, _first_loss(results))
            if ends:
                taken = self._end_step(first, batches, results)
            validated = stepped and val_every > 0 and state.global_step % val_every == 0
            if validated:
                run.validate_after_step()
            if ends:  # last, so that a run that is saved here resumes after the validation
                self._events.notify_batch_savers(Stage.TRAIN_BATCH_END, taken)
            bar.batch(state.current_epoch, position.batch, per_epoch)
            if limits.timed and limits.is_time_up():
                signals.request("max_time")
            asks = may_stop and (validated or self._asks_often)
            stops = asks and engine.any(state.stop_training)
            if stops or signals.received or state.global_step >= limits.steps:
                complete = position.batch == per_epoch
                break
        else:
            complete = True
        run.guard.poll()
        return complete and not signals.received

    def _start_step(self, first: int, batches: list[Any]) -> None:
        given = list(enumerate(batches, first))
        for count, batch in given:
            self._events.notify(Stage.TRAIN_BATCH_START, count, batch, savers=False)
        self._events.notify_batch_savers(Stage.TRAIN_BATCH_START, given)

    def _follow_step(self) -> None:
        """Log the norm of the gradients, and update the schedule and the averaged model."""
        run, parts = self._run, self._run.parts
        if run.config.log_grad_norm and run.stepper.grad_norm is not None:
            run.averages.add_step("grad_norm", run.stepper.grad_norm)
        if parts.schedule is not None:
            parts.schedule.step_batch()
        if parts.averaged_model is not None:
            parts.averaged_model.update_parameters(parts.model)

    def _end_step(
        self, first: int, batches: list[Any], results: list[StepResult | None]
    ) -> list[tuple[int, StepResult]]:
        """Notify of each batch that was not skipped; return these with their counts."""
        shown, average = self._run.state.opt_result, self._run.config.all_reduce_metrics
        taken = []
        for count, (batch, result) in enumerate(zip(batches, results, strict=True), first):
            if result is not None:
                taken.append((count, result))
                shown.loss, shown.metrics = reduce_result(self._engine, result, batch, average)
                self._events.notify(Stage.TRAIN_BATCH_END, count, result, savers=False)
        return taken


def _first_loss(results: list[StepResult | None]) -> Tensor:
    return next(result[0] for result in results if result is not None)
