"""The trainer: what a user configures once, and the fits made with it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from perceptrain_core.analysis.history import History
from perceptrain_core.callbacks import Callback
from perceptrain_core.checkpoints.writer import CheckpointWriter
from perceptrain_core.config import TrainConfig
from perceptrain_core.config.run_folder import show_run_folder
from perceptrain_core.data import Epochs
from perceptrain_core.engine import Engine
from perceptrain_core.engine.lost_processes import naming_the_lost
from perceptrain_core.errors import TrainingError
from perceptrain_core.metrics import Metric
from perceptrain_core.models.checkpointing import activation_checkpointing
from perceptrain_core.models.modes import training
from perceptrain_core.schedules.schedule import Schedule
from perceptrain_core.training import resolve
from perceptrain_core.training.averages import Row
from perceptrain_core.training.contract.same_run import check_same_run
from perceptrain_core.training.determinism import deterministic_algorithms
from perceptrain_core.training.evaluation_methods import Evaluations
from perceptrain_core.training.fit import Fit
from perceptrain_core.training.fit_result import FitResult
from perceptrain_core.training.hooks import TrainerHooks, warn_of_methods_never_called
from perceptrain_core.training.metrics.resolve import resolve_metrics
from perceptrain_core.training.processes import FitOutcome, engine_for, launch_fit
from perceptrain_core.training.provenance import provenance
from perceptrain_core.training.run_data import (
    check_not_labels,
    fit_validation_sets,
    training_epochs,
)
from perceptrain_core.training.run_folder import new_run_folder
from perceptrain_core.training.run_state import PartAttribute, RunState, StateAttribute
from perceptrain_core.training.session import Session
from perceptrain_core.training.steppers.custom import check_step_function
from perceptrain_core.training.steppers.optimize_step import optimize_step as default_optimize_step
from perceptrain_core.training.strategy import choose_strategy
from perceptrain_core.training.trials.methods import Trials
from perceptrain_core.training.use_grad import GradientSwitch, check_use_grad
from perceptrain_core.types import LossFunction, OptimizeResult, OptimizeStep
from perceptrain_core.user_warnings import warn_user


class Trainer(TrainerHooks, Evaluations, Trials, GradientSwitch):
    """Train, validate and test a model with a loss of the form ``loss_fn(batch, model)``.

    Args:
        model: The model; it is trained in place.
        optimizer: An optimizer of its parameters, or the name of one (with options:
            ``{"name": "adam", "lr": 1e-3}``); or a gradient-free search, an `AskTell` or an
            optimizer of nevergrad. ``None`` for validation and test only.
        config: How to train.
        loss_fn: A loss function or object, a criterion of ``torch.nn``, the name of a registered
            loss, a reference such as ``"./losses.py:mine"``, or a mapping with a name and
            options. Its own parameters are trained with the model's.
        train_dataloader: A loader or any iterable of batches; or a tensor, a tuple or dict of
            tensors, or a data set, which is split into batches of ``config.batch_size``. With
            ``None`` the loss gets one batch ``None`` per epoch.
        val_dataloader: The same for validation, or `ValidationSets`: several sets with names.
        test_dataloader: The same for `test`.
        optimize_step: ``f(model, optimizer, loss_fn, xs, device=None, dtype=None)``, one step.
        max_batches: The maximum number of batches of each pass over the data.
        weighting: Weights the terms of the loss, which are its metrics: a `Weighting`, the name of
            one, or a mapping with a name and options. The same as
            ``loss_fn=WeightedLoss(loss_fn, weighting)``.
        metrics: Metrics over the whole validation or test data, such as
            ``["accuracy", {"name": "f1", "average": "macro"}]``, or a mapping of labels to them.
            Each is the name of a registered metric, a mapping with a name and options, or a
            `Metric`, of which each validation uses a copy. Batches must be ``(inputs, labels)``.

    Attributes:
        history: A dict per epoch: ``train_loss``, ``train_NAME`` for each metric, and ``val_...``
            in epochs with a validation, as floats. Averages are over the rows of the data, or
            whatever the loss is a mean over (`Counted`); what ``metrics`` names is computed over
            all validation data.
        validations: With ``config.val_every_steps``, a dict per validation: its ``epoch``, ``step``
            and ``val_...``.
        current_epoch: The epoch in training, counted from 1; after the fit, the last complete one.
        global_step: Optimizer steps so far.
        batches_seen: Training batches so far, including skipped ones.
        opt_result: What callbacks see of the last step or epoch.
        stop_training: Set it to true to stop: on a batch stage after that step, elsewhere after the
            epoch. A run that stops inside an epoch is saved there if it keeps checkpoints.
        interrupted: Whether Ctrl-C or SIGTERM ended the last fit.
        stop_signal: Which of them, ``"SIGINT"`` or ``"SIGTERM"``; ``None`` if neither.
        resume_option: How messages name the option that resumes a run.
        averaged_model: With ``config.ema``, the moving average of the model, an ``AveragedModel``
            of ``torch.optim.swa_utils``; otherwise ``None``.
        schedule: With ``config.lr_scheduler``, the schedule; its ``scheduler`` is torch's.
        grad_scaler: With ``precision="fp16"``, the gradient scaler; otherwise ``None``.
        metrics: The metrics by label, before any batch.
        test_metrics: ``test_loss`` and ``test_NAME`` for each metric of the loss and each of
            ``metrics``, over all data of the latest `test`.
        provenance: The distribution and version that supplied each part found by name.

    Raises:
        TrainingError: The model or the optimizer is of the wrong type, or the optimizer has no
            parameter of the model.
        RegistryError: A name is unknown, or its options do not fit.
        LossContractError: ``loss_fn`` cannot be called.
        ConfigError: The weighting or a metric does not fit.
        DataError: ``max_batches`` is not a positive integer.
        MissingDependencyError: A metric needs a package that is not installed.
    """

    resume_option = "resume=True"

    history = StateAttribute[History]()
    validations = StateAttribute[list[Row]]()
    current_epoch = StateAttribute[int]()
    global_step = StateAttribute[int]()
    batches_seen = StateAttribute[int]()
    opt_result = StateAttribute[OptimizeResult]()
    stop_training = StateAttribute[bool]()
    interrupted = StateAttribute[bool]()
    stop_signal = StateAttribute[str | None]()
    test_metrics = StateAttribute[Row]()

    model = PartAttribute[nn.Module](lambda trainer, model: resolve.resolve_model(model))
    loss_fn = PartAttribute[LossFunction](lambda trainer, loss_fn: resolve.resolve_loss(loss_fn))
    optimizer = PartAttribute[Any](
        lambda trainer, optimizer: resolve.resolve_optimizer(
            optimizer, trainer.model, trainer.loss_fn
        )
    )

    config = PartAttribute[TrainConfig](lambda trainer, config: resolve.check_config(config))
    max_batches = PartAttribute[int | None](lambda trainer, limit: resolve.check_limit(limit))
    metrics = PartAttribute[Mapping[str, Metric]](lambda trainer, given: resolve_metrics(given))
    optimize_step = PartAttribute[OptimizeStep](lambda trainer, step: check_step_function(step))

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
        weighting: Any = None,
        metrics: Any = None,
    ) -> None:
        warn_of_methods_never_called(type(self))
        self.config = config
        self.model = model
        self.loss_fn = resolve.resolve_loss(loss_fn, weighting)
        self.optimizer = optimizer
        self.engine: Engine = engine_for(config)
        self._engine_settings = _engine_settings(config)
        self.train_dataloader = train_dataloader
        self.val_dataloader = val_dataloader
        self.test_dataloader = test_dataloader
        self.optimize_step = optimize_step
        self.max_batches = max_batches
        self.metrics = metrics
        self._named_callbacks: dict[int, tuple[Any, Callback]] = {}
        self.resolved_callbacks = resolve.resolve_callbacks(config, self._named_callbacks)
        named = {"model": self.model, "loss": self.loss_fn, "optimizer": self.optimizer}
        named |= {f"callback_{number}": item for number, item in enumerate(self.resolved_callbacks)}
        named |= {f"metric_{label}": metric for label, metric in self.metrics.items()}
        self.provenance = provenance(named)
        self.run_state = self._new_state()
        self._fit: Fit | None = None
        self._session: Session | None = None

    def fit(
        self,
        train_dataloader: Any = None,
        val_dataloader: Any = None,
        *,
        resume: bool | str | Path | None = None,
    ) -> FitResult:
        """Train for ``config.max_iter`` epochs, or until ``max_steps`` or ``max_time`` is reached.

        During the fit the model and all its submodules are in training mode; afterwards each is in
        its own mode again. Ctrl-C and SIGTERM end the training after the current step; a run that
        keeps checkpoints is saved there, and can be resumed. An epoch that is cut short has no row
        in the history; the run that resumes it adds the row. A second signal acts as usual.

        Args:
            train_dataloader: Replaces the data passed before.
            val_dataloader: Replaces the data passed before.
            resume: ``True`` resumes from the newest good checkpoint of the log folder, a path from
                that file or from the newest good one of that folder. By default
                ``config.resume``.

        Returns:
            The pair of the model and the optimizer that were passed.

        Raises:
            DataError: The data cannot be trained on.
            LossContractError: The loss breaks the contract; checked on the first batch.
            NonFiniteLossError: The loss is NaN or infinite.
            CheckpointError: There is no good checkpoint to resume from, or none can be written.
            TrainingError: There is no optimizer, or this trainer is already at work.
        """
        if train_dataloader is not None:
            self.train_dataloader = train_dataloader
        if val_dataloader is not None:
            self.val_dataloader = val_dataloader
        check_not_labels(self.train_dataloader, self.val_dataloader, self.config.validates)
        if val_dataloader is not None and not self.config.validates:
            warn_user(
                "Validation data were passed, but val_every=0, so nothing is validated. Set "
                "val_every=1 to validate after every epoch, or val_every_steps."
            )
        if self._session is not None:
            raise TrainingError(
                "This trainer is already at work: fit cannot be called from inside its own fit, "
                "validation or test. Create another trainer for that."
            )
        self._renew_engine()
        self.optimizer = self.optimizer  # for the model and the loss that may be new
        resolve.check_initialized(self.model, self.optimizer, self.config, self.engine.world_size)
        resolve.warn_of_left_out(self.model, self.optimizer)
        config = self.config
        resume = config.resume if resume is None else resume
        resolve.check_resume(resume)
        if self.engine.world_size < config.nprocs:
            self._fit_in_processes(resume)
        else:
            with naming_the_lost():
                self._fit_here(resume)
        optimizer = getattr(self.optimizer, "given", self.optimizer)
        return FitResult(self.model, optimizer, self.history)

    def __repr__(self) -> str:
        """Return the trainer in a line: ``Trainer(FFNN, Adam, 10 epochs, train_loss 0.25)``."""
        parts = [self.model] if self.optimizer is None else [self.model, self.optimizer]
        names = ", ".join(type(part).__name__ for part in parts)
        return f"{type(self).__name__}({names}, {self.history.summary()})"

    @property
    def log_folder(self) -> Path:
        """The folder of the latest run; it exists once something is written to it."""
        if self.run_state.log_folder is None:
            folder = new_run_folder(self.config).absolute()
            self.run_state.log_folder = self.engine.broadcast(folder)
        return self.run_state.log_folder

    @property
    def callbacks(self) -> tuple[Callback, ...]:
        """The callbacks in the order in which they run, with those that the settings ask for.

        Raises:
            TrainingError: They are assigned: each fit makes them from ``config.callbacks``.
        """
        return tuple(self.resolved_callbacks)

    @callbacks.setter
    def callbacks(self, given: object) -> None:
        raise TrainingError(
            "The callbacks of a trainer are made from its settings at each fit, so an assignment "
            "would be lost. Assign trainer.config.callbacks = [...]; those for printing, writing "
            "and checkpoints are added to them."
        )

    @property
    def averaged_model(self) -> AveragedModel | None:
        """The moving average of the model in the latest fit."""
        return None if self._fit is None else self._fit.parts.averaged_model

    @property
    def schedule(self) -> Schedule | None:
        """The learning-rate schedule of the latest fit."""
        return None if self._fit is None else self._fit.parts.schedule

    @property
    def checkpoint_writer(self) -> CheckpointWriter:
        """What writes the checkpoints of the latest fit; its ``wait()`` waits for the last one.

        Raises:
            TrainingError: There was no fit.
        """
        return self._require_fit().checkpoint_writer

    @property
    def grad_scaler(self) -> GradScaler | None:
        """The gradient scaler of the latest fit."""
        return None if self._fit is None else self._fit.parts.grad_scaler

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a checkpoint saves of the latest fit, between two steps.

        Raises:
            TrainingError: There was no fit.
        """
        return self._require_fit().state_dict()

    def _require_fit(self) -> Fit:
        if self._fit is None:
            raise TrainingError("There is no run to save yet: call fit first.")
        return self._fit

    def _fit_here(self, resume: bool | str | Path) -> None:
        train, val = training_epochs(self), fit_validation_sets(self)
        config = self.config
        check_use_grad(config, self.optimizer, self._expects_gradients)
        check_same_run(self.engine, self.model, self.loss_fn, self.optimizer, train)
        with deterministic_algorithms(config.deterministic):
            fit = self._new_fit(train, val, train.count())
            with fit.sharding:
                fit.start(resume)
                show_run_folder(config, self.log_folder)
                with (
                    self._open_session() as session,
                    training(self.model, self.loss_fn),
                    activation_checkpointing(self.model, config.activation_checkpointing),
                ):
                    fit.run(session)

    def _fit_in_processes(self, resume: bool | str | Path) -> None:
        sent = copy(self)
        sent._fit = None  # holds open files and running loaders
        task = partial(_fit_in_process, sent, resume)
        outcome = launch_fit(self.config, self.engine, self.optimizer, task)
        fit = self._new_fit(Epochs(None), None, outcome.batches)
        outcome.load(fit.parts, self.run_state, self.train_dataloader)
        show_run_folder(self.config, self.log_folder)

    def _new_fit(self, train: Epochs, val: Mapping[str, Epochs] | None, batches: int | None) -> Fit:
        self._fit = None  # until the new one is complete
        self.run_state = self._new_state()
        self.resolved_callbacks = resolve.resolve_callbacks(self.config, self._named_callbacks)
        strategy = choose_strategy(self.config, self.engine, self.model, self.optimizer)
        sharded = strategy == "fsdp"
        self.engine.prepare(self.model, self.optimizer, self.loss_fn, sharded)
        # Hooks of a subclass may save the run, too.
        saved = any(c.saves_run for c in self.resolved_callbacks) or type(self) is not Trainer
        self._fit = Fit(self, train, val, batches, saved_mid_epoch=saved, sharded=sharded)
        return self._fit

    def _renew_engine(self) -> None:
        """Create the engine again if the settings that it depends on have been assigned."""
        if self._engine_settings != _engine_settings(self.config):
            self.engine, self._engine_settings = (
                engine_for(self.config),
                _engine_settings(self.config),
            )

    def _new_state(self) -> RunState:
        rank, device = self.engine.rank, self.engine.device
        return RunState(OptimizeResult(0, self.model, self.optimizer, rank=rank, device=device))


def _engine_settings(config: TrainConfig) -> tuple[object, ...]:
    return config.compute_setup, config.float_dtype, config.backend


def _fit_in_process(trainer: Trainer, resume: bool | str | Path) -> FitOutcome | None:
    trainer.engine = engine_for(trainer.config)
    # Not the fit of a subclass, which is already running in the process that started this one.
    Trainer.fit(trainer, resume=resume)
    fit = trainer._fit
    if fit is None or trainer.engine.rank > 0:  # only the first has all of a sharded model
        return None
    batches = fit.position.epochs.count()
    return FitOutcome.of(fit.parts, trainer.run_state, trainer.train_dataloader, batches)
