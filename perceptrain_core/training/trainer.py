"""The trainer: batch, loss, step, metrics, validation, callbacks, in the order they happen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.data import Epochs
from perceptrain_core.errors import DataError
from perceptrain_core.models.modes import training
from perceptrain_core.optimizers.step import begin_epoch
from perceptrain_core.training import parts
from perceptrain_core.training.evaluator import Evaluator
from perceptrain_core.training.guard import SkipBatch, make_guard, warn_of_skipped
from perceptrain_core.training.hooks import losses_of
from perceptrain_core.training.meter import Meter, Row, reduce_row
from perceptrain_core.training.processes import (
    find_shared_run,
    fit_in_processes,
    joined_loss,
    seed_run,
)
from perceptrain_core.training.progress import ProgressBar, make_bar
from perceptrain_core.training.state import restore_run
from perceptrain_core.types import Metrics, StepResult
from perceptrain_core.types import TrainingStage as Stage


class Trainer(Evaluator):
    """Train, validate and test a model with a loss of the form ``loss_fn(batch, model)``.

    Args:
        model: The model; it is trained in place.
        optimizer: An optimizer of its parameters, or the name of one (with options:
            ``{"name": "adam", "lr": 1e-3}``).
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
            steps, those of a validation over the rows.
        current_epoch: The epoch in training, counted from 1; after the fit, the last complete one.
        global_step: Optimizer steps taken.
        batches_seen: Batches taken in training; more than steps, where some were left out.
        opt_result: Where the run stands, for callbacks.
        stop_training: Set it to true to stop after the epoch in training.
        interrupted: Whether the last fit was ended by Ctrl-C.
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
        resume: bool | str | Path = False,
    ) -> tuple[nn.Module, Any]:
        """Train for ``config.max_iter`` epochs.

        The model and all its submodules are in training mode meanwhile, and in their own mode
        again afterwards. Ctrl-C ends the training and keeps what was reached; an epoch that it
        cuts short has no row in the history.

        Args:
            train_dataloader: In place of the one given before.
            val_dataloader: In place of the one given before.
            resume: Go on from a checkpoint: ``True`` takes the newest good one of the log
                folder, a path takes that file, or the newest good one of that folder.

        Returns:
            The model and the optimizer, those that were given.

        Raises:
            DataError: The data cannot be trained on.
            LossContractError: The loss breaks the contract; checked on the first batch.
            NonFiniteLossError: The loss is NaN or infinite.
            CheckpointError: There is nothing good to resume from, or none can be written.
        """
        if train_dataloader is not None:
            self.train_dataloader = train_dataloader
        if val_dataloader is not None:
            self.val_dataloader = val_dataloader
        if self.engine.world_size < self.config.nprocs:
            fit_in_processes(self, resume)
            return self.model, self.optimizer
        train = self._epochs(self.train_dataloader, "train", shuffle=self.config.shuffle)
        val = self._validation_data()
        self._start(resume)
        self._guard = make_guard(
            self.loss_fn, self.optimizer, self.config.on_nonfinite, self.engine, self._where
        )
        self._step_loss = joined_loss(self, self._guard)
        with self._tracking() as tracker, training(self.model, self.loss_fn):
            if self.config.hyperparams:
                tracker.log_hyperparams(self.config.hyperparams)
            try:
                self._train(train, val)
            except KeyboardInterrupt:
                self._interrupt()
            finally:
                self._guard.release()
            for callback in self.callbacks:
                callback.end_run(self)
            losses = losses_of(self.history, "train"), losses_of(self.history, "val")
            self._events.tell(Stage.TRAIN_END, self.current_epoch, *losses)
            if self.config.log_model:
                loaders = self.train_dataloader, self.val_dataloader, self.test_dataloader
                tracker.log_model(self.model, *loaders)
        return self.model, self.optimizer

    def _train(self, train: Epochs, val: Epochs | None) -> None:
        config, done = self.config, self.current_epoch
        shown = config.verbose and config.progress and done < config.max_iter
        with make_bar(shown, config.max_iter, done) as bar:
            self._events.tell(Stage.TRAIN_START, done)
            for epoch in range(done + 1, config.max_iter + 1):
                if self.stop_training:  # before the first epoch: a resumed run had been stopped
                    break
                self.current_epoch = self.opt_result.iteration = epoch
                begin_epoch(self.optimizer, epoch)
                self._events.tell(Stage.TRAIN_EPOCH_START, epoch)
                row = self._train_epoch(train, bar)
                if val is not None and epoch % config.val_every == 0:
                    row |= self._evaluation().validate(val, epoch, row)
                self._end_epoch(row)
                bar.epoch(epoch, row)
                if self._finished():
                    break

    def _train_epoch(self, train: Epochs, bar: ProgressBar) -> Row:
        events, loss_fn = self._events, self._step_loss
        device, dtype = self.engine.device, self.engine.dtype
        starts, ends = Stage.TRAIN_BATCH_START in events, Stage.TRAIN_BATCH_END in events
        batches = train.count()
        meter = Meter("train")
        self._batch = skipped = 0
        for self._batch, batch in enumerate(train.batches(), start=1):
            self.batches_seen += 1
            if starts:
                events.tell(Stage.TRAIN_BATCH_START, self.batches_seen, batch)
            try:
                loss, metrics = self.optimize_step(
                    self._model, self.optimizer, loss_fn, batch, device=device, dtype=dtype
                )
            except SkipBatch:
                skipped += 1
                continue
            self.global_step += 1
            meter.add(loss, metrics)
            if ends:
                loss, metrics = self._agreed(loss, metrics)
                self.opt_result.loss, self.opt_result.metrics = loss, metrics
                events.tell(Stage.TRAIN_BATCH_END, self.batches_seen, (loss, metrics))
            bar.batch(self.current_epoch, self._batch, batches)
        self._guard.poll()
        if self._batch == 0:
            raise DataError(
                f"The training data gave no batch in epoch {self.current_epoch}: they are empty, "
                "or an iterator that can be gone through only once."
            )
        if skipped:
            warn_of_skipped(skipped, self._batch, self.current_epoch)
        return reduce_row(self.engine, meter.means(), self.config.all_reduce_metrics)

    def _agreed(self, loss: Tensor, metrics: Metrics) -> StepResult:
        """Give the loss and metrics of a step that all processes go by."""
        if self.engine.world_size == 1:
            return loss, metrics
        row = {name: float(value) for name, value in {**metrics, "": loss}.items()}
        row = reduce_row(self.engine, row, self.config.all_reduce_metrics)
        return loss.new_tensor(row.pop("")), row

    def _end_epoch(self, row: Row) -> None:
        self.history.append(row)
        result = self.opt_result
        result.loss, result.metrics = row["train_loss"], row
        self._events.tell(Stage.TRAIN_EPOCH_END, self.current_epoch, row)

    def _finished(self) -> bool:
        criterion = self.config.trainstop_criterion
        met = criterion is not None and bool(criterion(self.opt_result))
        return self.engine.any(self.stop_training or met)

    def _start(self, resume: bool | str | Path) -> None:
        """Put everything to the start of a run, or to where a checkpoint has it."""
        self._reset()
        self.callbacks = parts.resolve_callbacks(self.config, self._named)
        self._prepare()
        seed_run(self.engine, self.config.seed)
        checkpoint = find_shared_run(self.engine, self.config, resume)
        restored: list[Callback] = []
        if checkpoint is None:
            self._log_folder = None
        else:
            self._log_folder = checkpoint[0].parent.absolute()
            restored = restore_run(self, *checkpoint)
            self.opt_result.iteration = self.current_epoch
            if self.config.verbose and self.current_epoch >= self.config.max_iter:
                print(
                    f"Nothing left to train: {checkpoint[0].name} has {self.current_epoch} epochs, "
                    f"and max_iter is {self.config.max_iter}."
                )
        for callback in self.callbacks:
            callback.begin_run(self, resumed=callback in restored)

    def _interrupt(self) -> None:
        self.interrupted = True
        if self.config.verbose:
            complete = f"{len(self.history)} epochs are complete."
            print(f"Interrupted in epoch {self.current_epoch}; {complete}")
        self.current_epoch = self.opt_result.iteration = len(self.history)

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
        return f"in epoch {self.current_epoch}, batch {self._batch}"
