"""One fit: what it creates for itself, and the loop."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from perceptrain_core.callbacks.save_checkpoint import require_finite, save_run
from perceptrain_core.data import Epochs
from perceptrain_core.errors import DataError
from perceptrain_core.training.averages import Averages, Row, reduce_result
from perceptrain_core.training.context import TrainingContext
from perceptrain_core.training.contract.choice import make_guard, require_optimizer
from perceptrain_core.training.contract.split_batches import warn_of_split_batches
from perceptrain_core.training.contract.standstill import StandstillWatch
from perceptrain_core.training.determinism import seed_run
from perceptrain_core.training.evaluation import Evaluation
from perceptrain_core.training.hooks import losses_of
from perceptrain_core.training.precision import in_precision
from perceptrain_core.training.processes import check_supports_processes
from perceptrain_core.training.progress_bar import ProgressBar, make_bar
from perceptrain_core.training.resume.checkpoint_state import find_run, restore_run, run_state_dict
from perceptrain_core.training.resume.data_position import DataPosition
from perceptrain_core.training.run_parts import make_parts
from perceptrain_core.training.session import Session
from perceptrain_core.training.steppers.base import begin_epoch
from perceptrain_core.training.steppers.choice import make_stepper
from perceptrain_core.training.stop_signals import StopSignals
from perceptrain_core.types import StepResult
from perceptrain_core.types import TrainingStage as Stage


class Fit:
    """One fit: everything that it creates for itself, and the loop.

    Created at the start of each fit. Call `start`, then `run`.

    Args:
        trainer: The trainer; its model, optimizer, loss and callbacks are used.
        train: The training data.
        val: The validation data, if epochs are validated.
        batches: Batches per epoch, if known.
        saved_mid_epoch: Whether a checkpoint may be saved inside an epoch.

    Attributes:
        parts: The parts with a state, which checkpoints save.
        state: The counters and the history.
        position: The position in the training data.
        averages: The averages of the current epoch so far.
        guard: The loss as the steps call it.
        stepper: How steps are taken.
        signals: Signals that stop the run.
    """

    def __init__(
        self,
        trainer: TrainingContext,
        train: Epochs,
        val: Epochs | None = None,
        batches: int | None = None,
        saved_mid_epoch: bool = False,
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
            trainer.callbacks,
            engine.device,
            batches,
        )
        self.val = val
        self.position = DataPosition(train, config.accumulate, anchored=saved_mid_epoch)
        self.averages = Averages("train")
        self.signals = StopSignals(engine.world_size > 1)
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
        found = find_run(self.engine, self.config, resume)
        restored = []
        if found is not None:
            path, saved = found
            self.state.log_folder = path.parent.absolute()
            restored = restore_run(self, path, saved)
            self.state.opt_result.iteration = self.state.current_epoch
            if self.state.history:
                self._show_epoch(self.state.history[-1])
            if self.config.verbose:
                self._announce_resume(path)
        watched = None if self.engine.rank else self.parts.optimizer
        self.watch = StandstillWatch(watched, self.state.global_step)
        for callback in self.parts.callbacks:
            callback.begin_run(self.trainer, resumed=callback in restored)
        processes = self.engine.world_size
        warn_of_split_batches(self.parts.loss_fn, self.config.accumulate, processes)
        if processes > 1:
            check_supports_processes(self.parts.optimizer)
        parts = [self.parts.model, self.parts.loss_fn, self.parts.optimizer]
        self.stepper.loss_fn = self.engine.join(self.guard, parts)

    def run(self, session: Session) -> None:
        """Train until the last epoch, a stop criterion or a signal.

        Args:
            session: The open tracker and the events of the run.

        Raises:
            DataError: An epoch has no batch.
            LossContractError: The loss breaks the contract.
            NonFiniteLossError: The loss is NaN or infinite.
            CheckpointError: A checkpoint cannot be written.
        """
        self._session = session
        self._events = session.events
        if self.config.hyperparams:
            session.tracker.log_hyperparams(self.config.hyperparams)
        self._evaluates_average, resumable = True, True
        try:
            self._train()
        except KeyboardInterrupt:  # inside a step, so there is no state to resume from
            resumable = False
            self.position.end_epoch()
            self._interrupt("SIGINT", "")
        finally:
            self._evaluates_average = False
            self.guard.release()
            # Wrappers of several processes must not outlive the process group.
            self.stepper.loss_fn = self.guard
            self.stepper.settle()
        self._finish(resumable)

    def _train(self) -> None:
        config, done = self.config, self.state.current_epoch
        shown = config.verbose and config.progress and done < config.max_iter
        with make_bar(shown, config.max_iter, done) as bar, self.signals:
            self._events.notify(Stage.TRAIN_START, done)
            for epoch in range(done + 1, config.max_iter + 1):
                if self.state.stop_training or (epoch == done + 1 and self._was_finished()):
                    break
                self._begin_epoch(epoch)
                self._train_epoch(bar)
                if not self.signals.received:
                    row = self._end_epoch()
                    if row is not None:
                        bar.epoch(epoch, row)
                        if self._is_finished():
                            break
                if self.signals.received:
                    self._stop(self.signals.received)
                    break

    def _begin_epoch(self, epoch: int) -> None:
        self.state.current_epoch = self.state.opt_result.iteration = epoch
        begin_epoch(self.parts.optimizer, epoch)
        self.position.begin_epoch(epoch)
        if self.position.batch == 0:  # otherwise the run resumes inside the epoch
            self.averages = Averages("train")
            self._events.notify(Stage.TRAIN_EPOCH_START, epoch)

    def _train_epoch(self, bar: ProgressBar) -> None:
        state, events, position, averages = self.state, self._events, self.position, self.averages
        take_step, schedule, averaged = (
            self.stepper.take,
            self.parts.schedule,
            self.parts.averaged_model,
        )
        watch = self.watch
        starts = Stage.TRAIN_BATCH_START in events.stages
        ends = Stage.TRAIN_BATCH_END in events.stages
        per_epoch = position.epochs.count()
        for batches in position.steps():
            first = state.batches_seen + 1
            state.batches_seen += len(batches)
            if starts:
                events.notify_batches(Stage.TRAIN_BATCH_START, list(enumerate(batches, first)))
            results, stepped = take_step(batches)
            for batch, result in zip(batches, results, strict=True):
                if result is not None:
                    averages.add(*result, batch)
            if stepped:
                state.global_step += 1
                if schedule is not None:
                    schedule.step_batch()
                if averaged is not None:
                    averaged.update_parameters(self.parts.model)
                if state.global_step >= watch.next:
                    watch.look(state.global_step, next(filter(None, results))[0])
            if ends:
                taken = [(n, result) for n, result in enumerate(results, first) if result]
                events.notify_batches(Stage.TRAIN_BATCH_END, taken, self._show_batch)
            bar.batch(state.current_epoch, position.batch, per_epoch)
            if self.signals.received:
                break
        self.guard.poll()

    def _stop_requested(self) -> bool:
        return self.signals.received is not None

    def _end_epoch(self) -> Row | None:
        """End an epoch; return its row of the history, ``None`` if a signal cut it short."""
        epoch, batches = self.state.current_epoch, self.position.batch
        if batches == 0:
            raise DataError(
                f"The training data yielded no batch in epoch {epoch}: they are empty, or an "
                "iterator that can be used only once."
            )
        if skipped := batches - self.averages.batches:
            self.stepper.report_skipped(skipped, batches, epoch)
        self.stepper.settle()
        row = self.averages.means_everywhere(self.engine)
        if self.val is not None and epoch % self.config.val_every == 0:
            evaluation = Evaluation(
                self.trainer, self._events, self.evaluated_model, self._stop_requested
            )
            row |= evaluation.validate(self.val, epoch, row)
            if self._stop_requested():
                return None
        self.position.end_epoch()
        self.state.history.append(row)
        if self.parts.schedule is not None:
            self.parts.schedule.step_epoch(row)
        self._show_epoch(row)
        self._events.notify(Stage.TRAIN_EPOCH_END, epoch, row, savers=False)
        row.update([(name, float(value)) for name, value in row.items()])  # callbacks add metrics
        self._events.notify_savers(Stage.TRAIN_EPOCH_END, epoch)
        return row

    def _finish(self, resumable: bool) -> None:
        epoch, history = self.state.current_epoch, self.state.history
        if resumable:  # before callbacks change the model, e.g. load the best weights
            require_finite(self.trainer)  # no loss follows that would show what the last step did
            self._events.notify_savers(Stage.TRAIN_END, epoch)
        for callback in self.parts.callbacks:
            callback.end_run(self.trainer)
        if self.parts.averaged_model is not None:
            self.parts.model.load_state_dict(self.parts.averaged_model.module.state_dict())
        losses = losses_of(history, "train"), losses_of(history, "val")
        self._events.notify(Stage.TRAIN_END, epoch, *losses, savers=False)
        if self.config.log_model:
            trainer = self.trainer
            loaders = trainer.train_dataloader, trainer.val_dataloader, trainer.test_dataloader
            self._session.tracker.log_model(self.parts.model, *loaders)

    def state_dict(self) -> dict[str, object]:
        """Return everything that a checkpoint saves, between two steps."""
        self.guard.poll()  # a non-finite loss is reported before it is saved
        return run_state_dict(self)

    def _show_batch(self, result: StepResult) -> None:
        """Show callbacks the loss and metrics of a batch."""
        shown = self.state.opt_result
        shown.loss, shown.metrics = reduce_result(
            self.engine, result, self.config.all_reduce_metrics
        )

    def _show_epoch(self, row: Row) -> None:
        """Show callbacks the averages of an epoch."""
        self.state.opt_result.loss, self.state.opt_result.metrics = row["train_loss"], row

    def _is_finished(self) -> bool:
        criterion = self.config.trainstop_criterion
        met = criterion is not None and bool(criterion(self.state.opt_result))
        return self.engine.any(self.state.stop_training or met)

    def _was_finished(self) -> bool:
        """Whether a run that is resumed between two epochs had already ended."""
        return bool(self.state.history) and self.position.batch == 0 and self._is_finished()

    def _announce_resume(self, path: Path) -> None:
        done, last = self.state.current_epoch, self.config.max_iter
        if done >= last:
            print(f"Nothing left to train: {path.name} has {done} epochs, and max_iter is {last}.")
            return
        batches = f" and {self.position.batch} batches" if self.position.batch else ""
        print(f"Resuming from {path}, after {done} epochs{batches}.")

    def _stop(self, signal: str) -> None:
        """Save the run after the step in which a signal arrived, if it keeps checkpoints."""
        self.state.current_epoch = len(self.state.history)
        saved = ""
        if any(callback.saves_run for callback in self.parts.callbacks):
            saved = f" Saved as {save_run(self.trainer).name}: resume from it with resume=True."
        self._interrupt(signal, saved)

    def _interrupt(self, signal: str, saved: str) -> None:
        state, complete = self.state, len(self.state.history)
        state.interrupted, state.stop_signal = True, signal
        if self.config.verbose:
            what = "Interrupted" if signal == "SIGINT" else f"Stopped by {signal}"
            count = "1 epoch is" if complete == 1 else f"{complete} epochs are"
            print(f"{what} in epoch {state.opt_result.iteration}; {count} complete.{saved}")
        state.current_epoch = state.opt_result.iteration = complete

    def _where(self) -> str:
        last, size = self.position.batch, self.config.accumulate
        batches = f"batch {last}" if size == 1 else f"batches {max(1, last - size + 1)} to {last}"
        return f"in epoch {self.state.current_epoch}, {batches}"
