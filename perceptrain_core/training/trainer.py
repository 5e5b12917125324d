"""The trainer: batch, loss, step, metrics, validation, callbacks, in the order they happen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from perceptrain_core.analysis.information_content import InformationContent
from perceptrain_core.callbacks.base import Callback
from perceptrain_core.checkpoints.random_state import seed_everything
from perceptrain_core.config import TrainConfig
from perceptrain_core.data import Epochs, as_loader
from perceptrain_core.engine import Engine, LocalEngine
from perceptrain_core.errors import DataError, TrainingError
from perceptrain_core.models.modes import training
from perceptrain_core.optimizers.step import begin_epoch
from perceptrain_core.optimizers.step import optimize_step as default_optimize_step
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.training import parts
from perceptrain_core.training.evaluation import Evaluation, Row
from perceptrain_core.training.events import Events
from perceptrain_core.training.guard import SkipBatch, make_guard, warn_of_skipped
from perceptrain_core.training.hooks import TrainerHooks, losses_of
from perceptrain_core.training.meter import Meter
from perceptrain_core.training.progress import ProgressBar, make_bar
from perceptrain_core.training.run_folder import new_run_folder
from perceptrain_core.training.state import find_run, restore_run, run_state
from perceptrain_core.types import LossFunction, OptimizeResult, OptimizeStep
from perceptrain_core.types import TrainingStage as Stage


class Trainer(TrainerHooks):
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

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer | str | dict[str, Any] | None,
        config: TrainConfig,
        loss_fn: Any = "mse",
        train_dataloader: Any = None,
        val_dataloader: Any = None,
        test_dataloader: Any = None,
        optimize_step: OptimizeStep = default_optimize_step,
        max_batches: int | None = None,
    ) -> None:
        if not isinstance(config, TrainConfig):
            raise TrainingError(f"config must be a TrainConfig, got {type(config).__name__}.")
        self.config = config
        self.model = parts.resolve_model(model)
        self.loss_fn: LossFunction = parts.resolve_loss(loss_fn)
        self.optimizer = parts.resolve_optimizer(optimizer, self.model, self.loss_fn)
        self.engine: Engine = LocalEngine(config.compute_setup, config.dtype)
        self.train_dataloader = train_dataloader
        self.val_dataloader = val_dataloader
        self.test_dataloader = test_dataloader
        self.optimize_step = parts.resolve_step(optimize_step)
        self.max_batches = max_batches
        self._named: dict[int, tuple[Any, Callback]] = {}
        self.callbacks: list[Callback] = parts.resolve_callbacks(config, self._named)
        self.provenance = self._provenance()
        self._log_folder: Path | None = None
        self._tracker: Tracker | None = None
        self._reset()

    def _reset(self) -> None:
        self.history: list[Row] = []
        self.current_epoch = 0
        self.global_step = 0
        self.stop_training = False
        self.interrupted = False
        self._batch = 0
        self.batches_seen = 0
        self.opt_result = OptimizeResult(
            0, self.model, self.optimizer, rank=self.engine.rank, device=self.engine.device
        )

    @property
    def log_folder(self) -> Path:
        """The folder of the latest run; it exists once something is written to it."""
        if self._log_folder is None:
            self._log_folder = new_run_folder(self.config).absolute()
        return self._log_folder

    def _provenance(self) -> dict[str, dict[str, Any]]:
        named = {"model": self.model, "loss": self.loss_fn, "optimizer": self.optimizer}
        named |= {f"callback_{number}": item for number, item in enumerate(self.callbacks)}
        return parts.provenance(named)

    def state_dict(self) -> dict[str, Any]:
        """All that a checkpoint holds of the run as it stands."""
        return run_state(self)

    # Training

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
        train = self._epochs(self.train_dataloader, "train", shuffle=self.config.shuffle)
        val = self._validation_data()
        self._guard = make_guard(
            self.loss_fn, self.optimizer, self.config.on_nonfinite, self.engine.device, self._where
        )
        self._start(resume)
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
        events, guard = self._events, self._guard
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
                if guard.begin_step is not None:
                    guard.begin_step()
                loss, metrics = self.optimize_step(
                    self._model, self.optimizer, guard, batch, device=device, dtype=dtype
                )
            except SkipBatch:
                skipped += 1
                continue
            self.global_step += 1
            meter.add(loss, metrics)
            if ends:
                self.opt_result.loss, self.opt_result.metrics = loss, metrics
                events.tell(Stage.TRAIN_BATCH_END, self.batches_seen, (loss, metrics))
            bar.batch(self.current_epoch, self._batch, batches)
        guard.poll()
        if self._batch == 0:
            raise DataError(
                f"The training data gave no batch in epoch {self.current_epoch}: they are empty, "
                "or an iterator that can be gone through only once."
            )
        if skipped:
            warn_of_skipped(skipped, self._batch, self.current_epoch)
        return meter.means()

    def _end_epoch(self, row: Row) -> None:
        self.history.append(row)
        result = self.opt_result
        result.loss, result.metrics = row["train_loss"], row
        self._events.tell(Stage.TRAIN_EPOCH_END, self.current_epoch, row)

    def _finished(self) -> bool:
        criterion = self.config.trainstop_criterion
        return self.stop_training or (criterion is not None and criterion(self.opt_result))

    # Validation and test

    def validate(self, val_dataloader: Any = None) -> Row:
        """Evaluate the loss on the validation data, in evaluation mode and without gradients.

        Args:
            val_dataloader: In place of the one given before.

        Returns:
            ``val_loss`` and ``val_NAME`` for each metric: means over the rows.

        Raises:
            DataError: There are no validation data.
        """
        val = self._evaluation_data(val_dataloader, self.val_dataloader, "val")
        with self._tracking():
            return self._evaluation().validate(val, self.current_epoch)

    def test(self, test_dataloader: Any = None) -> list[Row]:
        """Evaluate the loss on the test data, in evaluation mode and without gradients.

        Args:
            test_dataloader: In place of the one given before.

        Returns:
            ``test_loss`` and ``test_NAME`` for each metric, a row for each batch.

        Raises:
            DataError: There are no test data.
        """
        test = self._evaluation_data(test_dataloader, self.test_dataloader, "test")
        with self._tracking():
            return self._evaluation().test(test)

    def _evaluation(self) -> Evaluation:
        return Evaluation(self.engine, self._events, self.opt_result, self._model, self.loss_fn)

    def get_ic_grad_bounds(
        self,
        eta: float,
        epsilons: Tensor | Sequence[float],
        variation_multiple: int = 20,
        dataloader: Any = None,
    ) -> tuple[float, float, float]:
        """Bound the norm of the loss's gradient around the model by its information content.

        Args:
            eta: For the sensitivity: above 0, at most 1/6.
            epsilons: Thresholds to try: positive numbers.
            variation_multiple: Steps of the random walk for each parameter.
            dataloader: Its first batch is used; by default that of the training data.

        Returns:
            The lower and the upper bound from the maximal information content, and the upper one
            from its sensitivity; `InformationContent` explains and names what it raises.
        """
        data = self.train_dataloader if dataloader is None else dataloader
        self._prepare()
        batch = self.engine.place(self._epochs(data, "train").first())
        found = InformationContent(self.model, self.loss_fn, batch, epsilons, variation_multiple)
        sensitive = found.get_grad_norm_bounds_sensitivity_IC(eta)
        return (*found.get_grad_norm_bounds_max_IC(), sensitive)

    # Preparation

    def _prepare(self) -> None:
        """Let the engine have the parts; what it gives back is what the loop uses."""
        prepared = self.engine.prepare(self.model, self.optimizer, self.loss_fn)
        self._model, self.optimizer, self.loss_fn = prepared

    def _start(self, resume: bool | str | Path) -> None:
        """Put everything to the start of a run, or to where a checkpoint has it."""
        self._reset()
        self.callbacks = parts.resolve_callbacks(self.config, self._named)
        self._prepare()
        if self.config.seed is not None:
            seed_everything(self.config.seed)
        checkpoint = find_run(self.config, resume)
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

    @contextmanager
    def _tracking(self) -> Iterator[Tracker]:
        """Open the tracker of this run, unless it is, and let callbacks and hooks know of it."""
        result = self.opt_result
        if self._tracker is not None:  # a callback validates or tests during the fit
            before = result.iteration, result.loss, result.metrics
            yield self._tracker
            # The callbacks that come after it look at the epoch.
            result.iteration, result.loss, result.metrics = before
            return
        config = replace(self.config, log_folder=self.log_folder)
        tracker = parts.resolve_tracker(config)
        self._events = Events(self, self.callbacks, config, tracker)
        tracker.open(config, self.current_epoch)
        self._tracker = tracker
        try:
            yield tracker
        finally:
            self._tracker = None
            tracker.close()

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

    def _evaluation_data(self, given: Any, own: Any, role: str) -> Epochs:
        data = own if given is None else given
        if data is None:
            raise DataError(f"There are no data to evaluate on: pass {role}_dataloader.")
        self._prepare()
        return self._epochs(data, role)

    def _epochs(self, data: Any, role: str, shuffle: bool = False) -> Epochs:
        if data is not None:
            data = as_loader(data, self.config.batch_size, shuffle, role)
        return Epochs(data, self.max_batches)

    def _where(self) -> str:
        return f"in epoch {self.current_epoch}, batch {self._batch}"
