"""One fit: what it creates for itself, and the loop over its epochs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

from torch import nn

from perceptrain_core.callbacks.save_checkpoint import require_finite, save_run
from perceptrain_core.checkpoints.writer import CheckpointWriter
from perceptrain_core.data import Epochs
from perceptrain_core.errors import DataError
from perceptrain_core.optimizer_modes import begin_training, end_training
from perceptrain_core.optimizer_steps import active_optimizer
from perceptrain_core.training.announcements import resuming, stopping
from perceptrain_core.training.averages import Averages, Row
from perceptrain_core.training.context import TrainingContext
from perceptrain_core.training.contract.choice import make_guard, require_optimizer
from perceptrain_core.training.contract.count_checks import warn_of_uncounted
from perceptrain_core.training.contract.split_batches import warn_of_split_batches
from perceptrain_core.training.contract.standstill import StandstillWatch
from perceptrain_core.training.contract.torch_errors import explained_errors
from perceptrain_core.training.contract.uncounted_epochs import CountedEpochs
from perceptrain_core.training.determinism import seed_run
from perceptrain_core.training.hooks import losses_of
from perceptrain_core.training.limits import Limits, planned_epochs
from perceptrain_core.training.metrics.dataset_metrics import check_names
from perceptrain_core.training.precision import in_precision
from perceptrain_core.training.processes import check_supports_processes
from perceptrain_core.training.progress_bar import make_bar
from perceptrain_core.training.resume.checkpoint_state import find_run, restore_run, run_state_dict
from perceptrain_core.training.resume.data_position import DataPosition
from perceptrain_core.training.run_parts import make_parts
from perceptrain_core.training.session import Session
from perceptrain_core.training.sharded_time import ShardedTime
from perceptrain_core.training.step_loop import StepLoop
from perceptrain_core.training.steppers.base import begin_epoch, end_epoch
from perceptrain_core.training.steppers.choice import make_stepper
from perceptrain_core.training.stop_signals import SIGNALS, StopSignals
from perceptrain_core.training.strategy import shard_parts
from perceptrain_core.training.validations import Validations
from perceptrain_core.types import Counted, Metrics
from perceptrain_core.types import TrainingStage as Stage


class Fit:
    """One fit: everything that it creates for itself, and the loop over its epochs.

    Created at the start of each fit. Call `start`, then `run`, inside of ``sharding``.

    Args:
        trainer: The trainer; its model, optimizer, loss and callbacks are used.
        train: The training data.
        val: The validation data by name, if the run validates.
        batches: Batches per epoch, if known.
        saved_mid_epoch: Whether a checkpoint may be saved inside an epoch.
        sharded: Whether the model is divided between the processes.

    Attributes:
        parts: The parts with a state, which checkpoints save.
        state: The counters and the history.
        position: The position in the training data.
        averages: The averages of the current epoch so far.
        checkpoint_writer: Writes the checkpoints.
        guard: The loss as the steps call it.
        stepper: How steps are taken.
        validations: The validations.
        signals: Signals that stop the run.
        limits: The limits of the steps and the time.
        sharding: The time for which the model is sharded.
    """

    def __init__(
        self,
        trainer: TrainingContext,
        train: Epochs,
        val: Mapping[str, Epochs] | None = None,
        batches: int | None = None,
        saved_mid_epoch: bool = False,
        sharded: bool = False,
    ) -> None:
        require_optimizer(trainer.optimizer)
        self.trainer = trainer
        self.config = config = trainer.config
        self.engine = engine = trainer.engine
        self.provenance = trainer.provenance
        self.state = trainer.run_state
        self.parts = parts = make_parts(
            config,
            trainer.model,
            trainer.optimizer,
            trainer.loss_fn,
            trainer.resolved_callbacks,
            engine.device,
            batches,
            sharded,
        )
        self._is_sharded = sharded
        self.sharding = ShardedTime(engine)
        self.validations = Validations(trainer, val, self._stop_requested)
        self.position = DataPosition(train, config.accumulate, anchored=saved_mid_epoch)
        self.averages = Averages("train")
        self.checkpoint_writer = CheckpointWriter(
            config.async_checkpoints, config.checkpoint_format
        )
        self.signals = StopSignals(engine.world_size > 1)
        self.limits = Limits(config)
        loss_fn = in_precision(parts.loss_fn, config.precision, engine.device)
        self.guard = make_guard(config, engine, loss_fn, parts.optimizer, self._where, self.signals)
        self.stepper = make_stepper(
            config,
            parts.model,
            parts.optimizer,
            self.guard,
            trainer.optimize_step,
            engine,
            parts.grad_scaler,
        )
        self._evaluates_average = False

    @property
    def evaluated_model(self) -> nn.Module:
        """The model that validations see: during the fit the moving average, if there is one."""
        averaged = self.parts.averaged_model
        return averaged.module if averaged and self._evaluates_average else self.parts.model

    def start(self, resume: bool | str | Path) -> None:
        """Seed the random generators, and restore the run if it is resumed."""
        seed_run(self.engine, self.config.seed)
        if self._is_sharded:
            self.engine.sharded = shard_parts(self.config, self.parts, self.engine)
        found = find_run(self.engine, self.config, self.parts, resume)
        self.sharding.meet()
        restored = []
        if found is not None:
            path, saved = found
            self.state.log_folder = path.parent.absolute()
            with catch_warnings():
                if self.engine.rank:  # the first process issues them
                    simplefilter("ignore", UserWarning)
                restored = restore_run(self, path, saved)
            self.sharding.meet()
            self.state.opt_result.iteration = self.state.current_epoch
            if self.state.history:
                self._show_epoch(self.state.history[-1])
            if self.config.verbose:
                print(resuming(path, self.state, self.position.batch, self.config))
        begin_training(self.parts.optimizer)
        watched = None if self.engine.rank else self.parts.optimizer
        self.watch = StandstillWatch(watched, self.state.global_step)
        endless, warns = self.position.epochs.endless, self.engine.rank == 0
        self._counted = CountedEpochs(self.state.history, endless, warns)
        for callback in self.parts.callbacks:
            callback.begin_run(self.trainer, resumed=callback in restored)
            self.sharding.meet()
        processes = self.engine.world_size
        loss_fn = self.parts.loss_fn
        self.guard.after_first = self._after_first_batch
        if processes > 1:
            check_supports_processes(self.parts.optimizer)
        parts = [self.parts.model, loss_fn, self.parts.optimizer]
        self.stepper.loss_fn = self.engine.join(self.guard, parts)

    def _after_first_batch(self, metrics: Metrics, batch: Any, made: list[Counted]) -> None:
        check_names(self.trainer.metrics, metrics)
        processes = self.engine.world_size
        warn_of_split_batches(self.parts.loss_fn, self.config.accumulate, processes)
        if processes > 1 or self.position.epochs.count() != 1:
            warn_of_uncounted(metrics, batch, made)

    def run(self, session: Session) -> None:
        """Train until the last epoch, a stop criterion or a signal.

        Args:
            session: The open tracker and the events of the run.

        Raises:
            DataError: An epoch has no batch, or nothing counts in the loss from the start.
            LossContractError: The loss breaks the contract.
            NonFiniteLossError: The loss is NaN or infinite.
            CheckpointError: A checkpoint cannot be written.
        """
        with self.checkpoint_writer:
            self._run(session)

    def _run(self, session: Session) -> None:
        self._session = session
        self._events = session.events
        if self.config.hyperparams:
            session.tracker.log_hyperparams(self.config.hyperparams)
        self.sharding.meet()
        resumable = self._train_or_stop()
        self.sharding.meets = True
        if resumable:
            self._finish(True)
        self.sharding.end(resumable)
        if not resumable:
            self._finish(False)

    def _train_or_stop(self) -> bool:
        """Train; return whether the run can be resumed from its end."""
        self._evaluates_average = True
        try:
            with explained_errors(self.parts.model):
                self._train()
        except KeyboardInterrupt:  # inside a step, so there is no state to resume from
            self.position.end_epoch()
            self._announce_stop("SIGINT")
            return False
        finally:
            self._evaluates_average = False
            self.guard.release()
            # Wrappers of several processes must not outlive the process group.
            self.stepper.loss_fn = self.guard
            self.stepper.settle()
        return True

    def _train(self) -> None:
        config, done = self.config, self.state.current_epoch
        shown = config.verbose and config.progress and done < config.max_iter
        epochs = planned_epochs(config, self.position.epochs.count())
        with make_bar(shown, epochs, done) as bar, self.signals:
            loop = StepLoop(self, self._events, bar)
            self._events.notify(Stage.TRAIN_START, done, between=self.sharding.meet)
            self.sharding.meets = False
            for epoch in range(done + 1, config.max_iter + 1):
                if epoch == done + 1 and self._was_finished():
                    break
                self._begin_epoch(epoch)
                if epoch == done + 1 and self.validations.was_cut_short():
                    self.validate_after_step()
                complete = loop.train_epoch()
                row = self._end_epoch() if complete else None
                if row is not None:
                    bar.epoch(epoch, row)
                    if self._is_finished():
                        break
                if (reason := self._stop_reason(row is not None)) is not None:
                    self._stop(reason)
                    break

    def _begin_epoch(self, epoch: int) -> None:
        self.state.current_epoch = self.state.opt_result.iteration = epoch
        before = active_optimizer(self.parts.optimizer)
        begin_epoch(self.parts.optimizer, epoch)
        after = active_optimizer(self.parts.optimizer)
        if epoch > 1 and after is not before:
            if self.parts.schedule is not None:
                self.parts.schedule.follow_optimizer()
            if self.config.verbose:
                print(f"Epoch {epoch}: {type(after).__name__} follows {type(before).__name__}.")
        self.position.begin_epoch(epoch)
        if self.position.batch == 0:  # otherwise the run resumes inside the epoch
            self.averages = Averages("train")
            for callback in self.parts.callbacks:
                callback.begin_epoch(self.trainer)
            self._events.notify(Stage.TRAIN_EPOCH_START, epoch)

    def _stop_requested(self) -> bool:
        return self.signals.received is not None

    def _end_epoch(self) -> Row | None:
        """End an epoch; return its row of the history, ``None`` if a signal cut it short."""
        epoch, batches = self.state.current_epoch, self.position.batch
        if batches == 0:
            raise DataError(
                f"The training data yielded no batch in epoch {epoch}: they are empty, or an "
                "iterator that can be used only once. Pass data that start again in each epoch, "
                "such as a DataLoader or a list of batches."
            )
        if skipped := batches - self.averages.batches:
            with self.engine.whole(writes=False):
                self.stepper.report_skipped(skipped, batches, epoch)
        self.stepper.settle()
        row = self.averages.means_everywhere(self.engine)
        self._counted.look(self.averages.nothing_counted, epoch)
        validates = self.validations.is_due_after(epoch)
        if validates:
            model = self.evaluated_model
            row |= self.validations.after_epoch(self._session, model, epoch, row)
            if self._stop_requested():
                return None
        elif self.state.validations:
            row |= self.validations.inside_epoch(epoch)
        end_epoch(self.parts.optimizer, row["train_loss"])
        self.position.end_epoch()
        self.state.history.append(row)
        if self.parts.schedule is not None:
            self.parts.schedule.step_epoch(row)
        self._show_epoch(row)
        self._events.notify(Stage.TRAIN_EPOCH_END, epoch, row, savers=False)
        row.update([(name, float(value)) for name, value in row.items()])  # callbacks add metrics
        if validates:
            self._events.notify_savers(Stage.VAL_EPOCH_END, epoch)
        self._events.notify_savers(Stage.TRAIN_EPOCH_END, epoch)
        return row

    def validate_after_step(self) -> None:
        """Validate inside an epoch."""
        self.guard.poll()  # a non-finite loss is reported before its model is evaluated
        self.stepper.settle()
        self.validations.after_step(self._session, self.evaluated_model)

    def _finish(self, resumable: bool) -> None:
        epoch, history = self.state.current_epoch, self.state.history
        if resumable:  # before callbacks change the model, e.g. load the best weights
            require_finite(self.trainer)  # no loss follows that would show what the last step did
            self._events.notify_savers(Stage.TRAIN_END, epoch, self.sharding.meet)
        self.checkpoint_writer.wait()  # callbacks may read the checkpoints
        self.sharding.meet()
        end_training(self.parts.optimizer)
        for callback in self.parts.callbacks:
            with self.engine.whole() if callback.uses_model else nullcontext():
                callback.end_run(self.trainer)
            self.sharding.meet()
        if self.parts.averaged_model is not None:
            self.parts.model.load_state_dict(self.parts.averaged_model.module.state_dict())
        if resumable:  # after an interrupted step the processes are not at the same place
            self.engine.align(self.parts.model, self.parts.loss_fn)
        if self.config.verbose and (summary := self.stepper.summary()):
            print(summary)
        losses = losses_of(history, "train"), losses_of(history, "val")
        meet = self.sharding.meet
        self._events.notify(Stage.TRAIN_END, epoch, *losses, savers=False, between=meet)
        if self.config.log_model:
            trainer = self.trainer
            loaders = trainer.train_dataloader, trainer.val_dataloader, trainer.test_dataloader
            with self.engine.whole(writes=False):
                self._session.tracker.log_model(self.parts.model, *loaders)
        self.sharding.meet()

    def state_dict(self) -> dict[str, object]:
        """Return everything that a checkpoint saves, between two steps."""
        self.guard.poll()  # a non-finite loss is reported before it is saved
        return run_state_dict(self)

    def _show_epoch(self, row: Row) -> None:
        """Show callbacks the averages of an epoch."""
        self.state.opt_result.loss, self.state.opt_result.metrics = row["train_loss"], row

    def _is_finished(self) -> bool:
        criterion = self.config.trainstop_criterion
        met = criterion is not None and bool(criterion(self.state.opt_result))
        return self.engine.any(self.state.stop_training or met)

    def _was_finished(self) -> bool:
        """Whether there is nothing to train, as in a resumed run that had already ended."""
        if self.state.stop_training:
            return True
        if self.state.global_step >= self.limits.steps:  # the last epoch may still need its row
            return self.position.batch != self.position.batches_of_epoch
        return bool(self.state.history) and self.position.batch == 0 and self._is_finished()

    def _stop_reason(self, complete: bool) -> str | None:
        """Return why the run stops now, or ``None`` if it does not."""
        if self.signals.received:
            return self.signals.received
        if self.state.global_step >= self.limits.steps:
            return "max_steps"
        return None if complete else "stop_training"

    def _stop(self, reason: str) -> None:
        """Save the run after the step at which it stops, if it keeps checkpoints."""
        self.state.current_epoch = len(self.state.history)
        saves = any(callback.saves_run for callback in self.parts.callbacks)
        saved = save_run(self.trainer) if saves else None
        self.checkpoint_writer.wait()
        self._announce_stop(reason, saved)

    def _announce_stop(self, reason: str, saved: Path | None = None) -> None:
        state = self.state
        if reason in SIGNALS:
            state.interrupted, state.stop_signal = True, reason
        if self.config.verbose:
            print(stopping(reason, state, self.config, saved, self.trainer.resume_option))
        state.current_epoch = state.opt_result.iteration = len(state.history)

    def _where(self) -> str:
        last, size = self.position.batch, self.config.accumulate
        batches = f"batch {last}" if size == 1 else f"batches {max(1, last - size + 1)} to {last}"
        return f"in epoch {self.state.current_epoch}, {batches}"
