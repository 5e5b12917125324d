"""The trainer: batch, loss, step, metrics, validation, callbacks, in the order they happen."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from torch import nn

from perceptrain_core.callbacks import Callback
from perceptrain_core.callbacks.save_checkpoint import save_run
from perceptrain_core.data import Epochs
from perceptrain_core.errors import DataError
from perceptrain_core.models.modes import training
from perceptrain_core.schedules.rates import begin_epoch
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.training import resolve as parts
from perceptrain_core.training.averages import Meter, Row, reduce_row
from perceptrain_core.training.determinism import deterministic_algorithms
from perceptrain_core.training.evaluator import Evaluator
from perceptrain_core.training.hooks import losses_of
from perceptrain_core.training.precision import in_precision
from perceptrain_core.training.processes import (
    agreed,
    find_shared_run,
    fit_in_processes,
    joined_loss,
    seed_run,
)
from perceptrain_core.training.progress import ProgressBar, make_bar
from perceptrain_core.training.resume.checkpoint_state import restore_run, run_state
from perceptrain_core.training.resume.data_position import Feed
from perceptrain_core.training.stop_signals import StopSignals
from perceptrain_core.types import StepResult
from perceptrain_core.types import TrainingStage as Stage


class Trainer(Evaluator):
    """Train, validate and test a model with a loss of the form ``loss_fn(batch, model)``.

    Args:
        model: The model; it is trained in place.
        optimizer: An optimizer of its parameters, or the name of one (with options:
            ``{"name": "adam", "lr": 1e-3}``); or a search without gradients, an `AskTell` or an
            optimizer made with nevergrad.
        config: How to train.
        loss_fn: A loss function or object, a criterion of ``torch.nn``, the name of a registered
            loss, a reference such as ``"./losses.py:mine"``, or a mapping with a name and
            options. Parameters of its own are trained with the model's.
        train_dataloader: A loader or any iterable of batches; a tensor, a tuple or dict of
            tensors, or a data set, of which ``config.batch_size`` makes batches. ``None`` gives
            the loss one batch ``None`` an epoch.
        val_dataloader: The same for validation.
        test_dataloader: The same for `test`.
        optimize_step: ``f(model, optimizer, loss_fn, xs, device=None, dtype=None)``, one step.
        max_batches: At most so many batches of each pass over the data.

    Attributes:
        history: A dict for each epoch: ``train_loss``, ``train_NAME`` for each metric, and
            ``val_...`` for epochs with a validation, as floats. Means of training are over the
            batches, those of a validation over the rows.
        current_epoch: The epoch in training, counted from 1; after the fit, the last complete one.
        global_step: Optimizer steps taken.
        batches_seen: Batches taken in training; more than steps, where some were left out.
        opt_result: Where the run stands, for callbacks.
        stop_training: Set it to true to stop after the epoch in training.
        interrupted: Whether the last fit was ended by Ctrl-C or SIGTERM.
        stop_signal: Which of them it was, ``"SIGINT"`` or ``"SIGTERM"``; ``None`` if neither.
        averaged_model: With ``config.ema`` the moving average of the model, an ``AveragedModel``
            of ``torch.optim.swa_utils``; else ``None``.
        schedule: With ``config.lr_scheduler``, the schedule, which has torch's ``scheduler``.
        grad_scaler: With ``precision="fp16"``, what scales the gradients; else ``None``.
        provenance: Which distribution and version supplied each part that came by a name.

    Raises:
        TrainingError: The model or optimizer is none, or the optimizer has no parameter of it.
        RegistryError: A name that nothing has, or options that do not fit.
        LossContractError: ``loss_fn`` cannot be called.
    """

    def fit(
        self,
        train_dataloader: Any = None,
        val_dataloader: Any = None,
        *,
        resume: bool | str | Path | None = None,
    ) -> tuple[nn.Module, Any]:
        """Train for ``config.max_iter`` epochs.

        The model and all its submodules are in training mode meanwhile, and in their own mode
        again afterwards. Ctrl-C and SIGTERM end the training after the step that they come in; a
        run that keeps checkpoints saves one there, and resumes from it. An epoch that is cut short
        has no row in the history. The second signal does what it always does.

        Args:
            train_dataloader: In place of the one given before.
            val_dataloader: In place of the one given before.
            resume: Go on from a checkpoint: ``True`` takes the newest good one of the log
                folder, a path takes that file, or the newest good one of that folder. By default
                as ``config.resume`` says.

        Returns:
            The model and the optimizer, those that were given.

        Raises:
            DataError: The data cannot be trained on.
            LossContractError: The loss breaks the contract; checked on the first batch.
            NonFiniteLossError: The loss is NaN or infinite.
            CheckpointError: There is nothing good to resume from, or none can be written.
            TrainingError: There is no optimizer, or this trainer is at work already.
        """
        if train_dataloader is not None:
            self.train_dataloader = train_dataloader
        if val_dataloader is not None:
            self.val_dataloader = val_dataloader
            if not self.config.val_every:
                warnings.warn(
                    "Validation data were given, but val_every=0: nothing will be validated. Set "
                    "val_every=1 to validate after every epoch.",
                    stacklevel=2,
                )
        self._refuse_nested()
        config = self.config
        resume = config.resume if resume is None else resume
        if self.engine.world_size < config.nprocs:
            fit_in_processes(self, resume)
            return self.model, self._given_optimizer()
        train = self._epochs(self.train_dataloader, "train", config.shuffle, config.accumulate)
        val = self._validation_data()
        self._check_use_grad()
        with deterministic_algorithms(config.deterministic):
            self._start(train, resume)
            with self._tracking() as tracker, training(self.model, self.loss_fn):
                self._run(val, tracker)
        return self.model, self._given_optimizer()

    def _run(self, val: Epochs | None, tracker: Tracker) -> None:
        if self.config.hyperparams:
            tracker.log_hyperparams(self.config.hyperparams)
        self._fitting, whole = True, True
        try:
            self._train(val)
        except KeyboardInterrupt:  # in the midst of a step, which is no place to go on from
            whole = False
            self._feed.end_epoch()
            self._interrupt("SIGINT", "")
        finally:
            self._fitting = False
            self._guard.release()
            self._take_best()
        self._finish(tracker, whole)

    def _train(self, val: Epochs | None) -> None:
        config, done, signals = self.config, self.current_epoch, self._signals
        shown = config.verbose and config.progress and done < config.max_iter
        with make_bar(shown, config.max_iter, done) as bar, signals:
            self._events.tell(Stage.TRAIN_START, done)
            for epoch in range(done + 1, config.max_iter + 1):
                if self.stop_training or (epoch == done + 1 and self._had_finished()):
                    break
                self._begin_epoch(epoch)
                self._train_epoch(bar)
                if not signals.received:
                    row = self._end_epoch(val)
                    bar.epoch(epoch, row)
                    if self._finished():
                        break
                if signals.received:
                    self._stop(signals.received)
                    break

    def _begin_epoch(self, epoch: int) -> None:
        self.current_epoch = self.opt_result.iteration = epoch
        begin_epoch(self.optimizer, epoch)
        self._feed.begin_epoch(epoch)
        if self._feed.batch == 0:  # else the run goes on in the midst of it
            self._meter = Meter("train")
            self._events.tell(Stage.TRAIN_EPOCH_START, epoch)

    def _train_epoch(self, bar: ProgressBar) -> None:
        events, loss_fn, feed, meter = self._events, self._step_loss, self._feed, self._meter
        device, dtype = self.engine.device, self.engine.dtype
        starts, ends = Stage.TRAIN_BATCH_START in events, Stage.TRAIN_BATCH_END in events
        batches = feed.epochs.count()
        for step in feed.steps():
            first = self.batches_seen + 1
            self.batches_seen += len(step)
            if starts:
                events.tell_each(Stage.TRAIN_BATCH_START, list(enumerate(step, first)))
            results, stepped = self._take_step(
                self._model, self.optimizer, loss_fn, step, device=device, dtype=dtype
            )
            taken = [(n, result) for n, result in enumerate(results, first) if result is not None]
            for _, result in taken:
                meter.add(*result)
            if stepped:
                self.global_step += 1
                if self.schedule is not None:
                    self.schedule.step_batch()
                if self.averaged_model is not None:
                    self.averaged_model.update_parameters(self.model)
            if ends:
                events.tell_each(Stage.TRAIN_BATCH_END, taken, self._show)
            bar.batch(self.current_epoch, feed.batch, batches)
            if self._signals.received:
                break
        self._guard.poll()

    def _show(self, result: StepResult) -> None:
        """Let callbacks see the loss and the metrics of a batch."""
        result = agreed(self.engine, result, self.config.all_reduce_metrics)
        self.opt_result.loss, self.opt_result.metrics = result

    def _show_epoch(self, row: Row) -> None:
        """Let callbacks see the means of an epoch."""
        self.opt_result.loss, self.opt_result.metrics = row["train_loss"], row

    def _end_epoch(self, val: Epochs | None) -> Row:
        epoch, batches = self.current_epoch, self._feed.batch
        if batches == 0:
            raise DataError(
                f"The training data gave no batch in epoch {epoch}: they are empty, or an "
                "iterator that can be gone through only once."
            )
        if skipped := batches - self._meter.batches:
            self._warn_of_skipped(skipped, batches, epoch)
        self._take_best()
        row = reduce_row(self.engine, self._meter.means(), self.config.all_reduce_metrics)
        if val is not None and epoch % self.config.val_every == 0:
            row |= self._evaluation().validate(val, epoch, row)
        self._feed.end_epoch()
        self.history.append(row)
        if self.schedule is not None:
            self.schedule.step_epoch(row)
        self._show_epoch(row)
        self._events.tell(Stage.TRAIN_EPOCH_END, epoch, row, savers=False)
        row.update([(name, float(value)) for name, value in row.items()])  # those of callbacks too
        self._events.tell_savers(Stage.TRAIN_EPOCH_END, epoch)
        return row

    def state_dict(self) -> dict[str, Any]:
        """All that a checkpoint holds of the run as it stands, between two steps."""
        self._guard.poll()  # what is not finite is told before it is kept
        return run_state(self, self._feed, self._meter)

    def _finished(self) -> bool:
        criterion = self.config.trainstop_criterion
        met = criterion is not None and bool(criterion(self.opt_result))
        return self.engine.any(self.stop_training or met)

    def _had_finished(self) -> bool:
        """Whether a run that is resumed between two epochs was at its end already."""
        return bool(self.history) and self._feed.batch == 0 and self._finished()

    def _finish(self, tracker: Tracker, whole: bool) -> None:
        if whole:  # first, for what callbacks put back at the end is nothing to go on from
            self._events.tell_savers(Stage.TRAIN_END, self.current_epoch)
        for callback in self.callbacks:
            callback.end_run(self)
        if self.averaged_model is not None:
            self.model.load_state_dict(self.averaged_model.module.state_dict())
        losses = losses_of(self.history, "train"), losses_of(self.history, "val")
        self._events.tell(Stage.TRAIN_END, self.current_epoch, *losses, savers=False)
        if self.config.log_model:
            loaders = self.train_dataloader, self.val_dataloader, self.test_dataloader
            tracker.log_model(self.model, *loaders)

    def _start(self, train: Epochs, resume: bool | str | Path) -> None:
        """Put everything to the start of a run, or to where a checkpoint has it."""
        config = self.config
        self._assemble(train.count())
        # Who may ask for the state of the run in the midst of an epoch.
        watched = any(c.saves_run for c in self.callbacks) or type(self) is not Trainer
        self._feed = Feed(train, config.accumulate, anchored=watched)
        seed_run(self.engine, config.seed)
        checkpoint = find_shared_run(self.engine, config, resume)
        restored: list[Callback] = []
        if checkpoint is None:
            self._log_folder = None
        else:
            self._log_folder = checkpoint[0].parent.absolute()
            restored = restore_run(self, self._feed, self._meter, *checkpoint)
            self.opt_result.iteration = self.current_epoch
            if self.history:
                self._show_epoch(self.history[-1])
            if config.verbose:
                self._tell_of_resume(checkpoint[0])
        for callback in self.callbacks:
            callback.begin_run(self, resumed=callback in restored)
        self._step_loss = joined_loss(self, self._guard)

    def _assemble(self, batches: int | None) -> None:
        """Make what a run consists of beside its data, whose batches in an epoch it is told."""
        config = self.config
        self._reset()
        self.callbacks = parts.resolve_callbacks(config, self._named)
        self._prepare()
        self._signals = StopSignals(self.engine.world_size > 1)
        self._guard = self._make_guard(
            in_precision(self.loss_fn, config.precision, self.engine.device), self._signals
        )
        self._take_step = self._make_step()
        self.optimizer_options = parts.options_of(self.optimizer)
        self.averaged_model = parts.average(self.model, config.ema)
        self.schedule = parts.schedule(config, self.optimizer, batches)

    def _tell_of_resume(self, path: Path) -> None:
        done, last = self.current_epoch, self.config.max_iter
        if done >= last:
            print(f"Nothing left to train: {path.name} has {done} epochs, and max_iter is {last}.")
            return
        batches = f" and {self._feed.batch} batches" if self._feed.batch else ""
        print(f"Going on from {path}, after {done} epochs{batches}.")

    def _stop(self, signal: str) -> None:
        """Keep the place where a signal has stopped the run, if the run keeps checkpoints."""
        self.current_epoch = len(self.history)
        saved = ""
        if any(callback.saves_run for callback in self.callbacks):
            saved = f" Saved as {save_run(self).name}: a resumed run goes on from there."
        self._interrupt(signal, saved)

    def _interrupt(self, signal: str, saved: str) -> None:
        self.interrupted, self.stop_signal = True, signal
        what = "Interrupted" if signal == "SIGINT" else f"Stopped by {signal}"
        complete = len(self.history)
        if self.config.verbose:
            where = f"in epoch {self.opt_result.iteration}"
            count = "1 epoch is" if complete == 1 else f"{complete} epochs are"
            print(f"{what} {where}; {count} complete.{saved}")
        self.current_epoch = self.opt_result.iteration = complete

    def _validation_data(self) -> Epochs | None:
        if not self.config.val_every:
            return None
        if self.val_dataloader is None:
            raise DataError(
                f"val_every={self.config.val_every}, but there are no validation data: pass "
                "val_dataloader, or set val_every=0."
            )
        return self._epochs(self.val_dataloader, "val")

    def _where(self) -> str:
        last, size = self._feed.batch, self.config.accumulate
        batches = f"batch {last}" if size == 1 else f"batches {max(1, last - size + 1)} to {last}"
        return f"in epoch {self.current_epoch}, {batches}"
