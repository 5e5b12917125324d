"""Build a run from its run file: settings, data, model, loss, optimizer and trainer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from inspect import isclass
from pathlib import Path
from typing import Any

from torch import nn

from perceptrain_core.callbacks import Callback
from perceptrain_core.callbacks.support.writer import tracker_names
from perceptrain_core.config import TrainConfig
from perceptrain_core.data.tables.preparation import Preparation
from perceptrain_core.data.tables.tensor_preparation import TensorPreparation
from perceptrain_core.errors import ConfigError, PerceptrainError, TrustError
from perceptrain_core.losses import WeightedLoss
from perceptrain_core.metrics import Metric
from perceptrain_core.optimizers.build import build_optimizer
from perceptrain_core.parameters import parameters_of
from perceptrain_core.random_state import seed_everything
from perceptrain_core.registry import registry
from perceptrain_core.registry.messages import one_line, raised_in
from perceptrain_core.registry.options import check
from perceptrain_core.runs.data import RunData, load_data
from perceptrain_core.runs.data_options import (
    ignored_label,
    loss_that_ignores,
    metric_that_ignores,
    with_found_options,
)
from perceptrain_core.runs.describe import describe_data
from perceptrain_core.runs.label_metrics import with_each_label
from perceptrain_core.runs.record import RunRecord, label_names
from perceptrain_core.runs.run import Run
from perceptrain_core.runs.sizes import check_fit, needs_sizes, with_sizes
from perceptrain_core.runs.tables import RunFile
from perceptrain_core.runs.unscaled_metric import UnscaledMetric
from perceptrain_core.runs.versions import explaining_versions
from perceptrain_core.training.metrics.resolve import resolve_metrics
from perceptrain_core.training.provenance import Provenance
from perceptrain_core.training.resolve import as_callback, resolve_model
from perceptrain_core.training.run_data import training_epochs
from perceptrain_core.training.run_parts import make_run_schedule
from perceptrain_core.training.trainer import Trainer
from perceptrain_core.types import LossFunction


@explaining_versions
def build_run(run_file: RunFile, path: Path) -> Run:
    """Build a run.

    Args:
        run_file: The tables.
        path: The file that they come from. Messages name it, and the run folder is named after
            it.

    Raises:
        ConfigError: A part cannot be built; the message names its table.
    """
    config = complete_config(run_file, path)
    _seed(config)  # a data function may draw random points
    data = _load(run_file, path)
    run_file = _with_data_options(run_file, path)
    splits = data.splits
    if splits.val is None:
        _refuse_validation(run_file, path)
        config = replace(config, val_every=0)
    _seed(config)  # the initial weights must not depend on what the data function drew
    with in_table(path, "model"):
        run_file = with_sizes(run_file, data)
    model = build_model(run_file, path)
    with in_table(path, "model"):
        check_fit(model, run_file, data)
    loss_fn = build_loss(run_file, path)
    with in_table(path, "optimizer"):
        table = run_file.optimizer
        optimizer = build_optimizer({"name": table.name, **table.options}, model)
    labels, classes = label_names(data)
    metrics = build_metrics(run_file, path, data.preparation, labels)
    loaders = splits.train, splits.val, splits.test
    trainer = Trainer(model, optimizer, config, loss_fn, *loaders, metrics=metrics)
    trainer.resume_option = "--resume"
    _check_schedule(trainer, path)
    trainer.provenance = {**trainer.provenance, **_provenance(run_file, config)}
    record = RunRecord(labels=labels, classes=classes)
    unscaled = getattr(_loss_target(run_file, path), "unscaled_labels", False)
    notes = describe_data(data, unscaled)
    return Run(run_file, trainer, splits, data.preparation, notes, record)


def complete_config(run_file: RunFile, path: Path) -> TrainConfig:
    """Build the settings, with the defaults of run files.

    Raises:
        ConfigError: A field or value is wrong.
    """
    callbacks = _build_callbacks(run_file, path)
    config = train_config(run_file, path, **_default_settings(run_file, path))
    return replace(config, callbacks=callbacks)


@explaining_versions
def build_model(run_file: RunFile, path: Path) -> nn.Module:
    """Build the model alone; the data are read only if its sizes follow from them.

    Args:
        run_file: The tables.
        path: Named in messages.

    Raises:
        ConfigError: The model cannot be built.
    """
    with in_table(path, "model"):
        incomplete = needs_sizes(run_file.model)
    if incomplete:
        data = _load(run_file, path)
        with in_table(path, "model"):
            run_file = with_sizes(run_file, data)
    with in_table(path, "model"):
        table = run_file.model
        return resolve_model(registry().resolve("model", table.name, (), table.options))


def train_config(run_file: RunFile, path: Path, **defaults: Any) -> TrainConfig:
    """Build the settings from the tables ``[train]`` and ``[[callbacks]]``.

    Args:
        run_file: The tables.
        path: Named in messages.
        **defaults: Values for fields that the file does not set.

    Raises:
        ConfigError: A field or value is wrong.
    """
    callbacks = [{"name": table.name, **table.options} for table in run_file.callbacks]
    with in_table(path, "train"):
        config = TrainConfig(**{**defaults, **run_file.train, "callbacks": callbacks})
        _check_log_folder(config)
        return config


def _check_log_folder(config: TrainConfig) -> None:
    """Refuse a folder outside the root folder: a run file may come from anybody."""
    folder = config.log_folder
    if folder.is_absolute() or ".." in folder.parts or folder.drive:
        raise ConfigError(
            f"log_folder = {str(folder)!r} is not inside root_folder, {str(config.root_folder)!r}: "
            "write a relative path without '..', and set root_folder to write somewhere else."
        )


@contextmanager
def in_table(path: Path, table: str, item: str = "") -> Iterator[None]:
    """Raise any error as a ``ConfigError`` that names the file, the table and any code of the user.

    Parts take their options from the file, so an error while building one is a fault of the file.
    """
    try:
        yield
    except TrustError:
        raise
    except PerceptrainError as error:
        raise ConfigError(f"{path}, [{table}]{item}: {error}") from error
    except Exception as error:
        message = f"{path}, [{table}]{item}: {one_line(error)}{raised_in(error)}"
        raise ConfigError(message) from error


def _default_settings(run_file: RunFile, path: Path) -> dict[str, Any]:
    epochs = run_file.train.get("max_iter", TrainConfig().max_iter)
    tenth = max(1, epochs // 10) if isinstance(epochs, int) else 1
    return {
        "log_folder": path.stem,
        "tracking_tool": "csv",
        "print_every": tenth,
        "write_every": 1,
        "checkpoint_every": tenth,
        "val_every": 0 if run_file.train.get("val_every_steps") else 1,
    }


def _build_callbacks(run_file: RunFile, path: Path) -> list[Callback]:
    callbacks = []
    for number, table in enumerate(run_file.callbacks, start=1):
        with in_table(path, "[callbacks]", f" {number}"):
            callbacks.append(as_callback({"name": table.name, **table.options}))
    return callbacks


def _refuse_validation(run_file: RunFile, path: Path) -> None:
    """Refuse settings that need validation data, which the run does not have."""
    needs = [name for name in ("val_every", "checkpoint_best_only") if run_file.train.get(name)]
    if needs:
        raise ConfigError(
            f"{path}, [train]: {needs[0]} needs validation data, and there are none. Set "
            "val_fraction in [data], name a data set that returns validation data too, or leave "
            f"{needs[0]} out."
        )


def _check_schedule(trainer: Trainer, path: Path) -> None:
    """Create the learning-rate schedule for a copy of the optimizer, to report faults early."""
    config = trainer.config
    if config.lr_scheduler is None:
        return
    with in_table(path, "data"):
        batches = training_epochs(trainer).count()
    if batches is not None:
        batches = max(1, batches // config.nprocs)
    parameters = {id(p): p for p in parameters_of(trainer.optimizer)}  # not copied
    with in_table(path, "train.lr_scheduler"):
        schedule = make_run_schedule(config, deepcopy(trainer.optimizer, parameters), batches)
        assert schedule is not None
        schedule.step_batch()
        schedule.step_epoch({schedule.monitor or "": 0.0})


def _with_data_options(run_file: RunFile, path: Path) -> RunFile:
    """Return the run file with the options that follow from the data set."""
    with in_table(path, "data"):
        data = with_found_options(run_file.data)
    label = ignored_label(data)
    with in_table(path, "loss"):
        loss = loss_that_ignores(run_file.loss, label)
    with in_table(path, "metrics"):
        metrics = {key: metric_that_ignores(m, label) for key, m in run_file.metrics.items()}
    return run_file.model_copy(update={"data": data, "loss": loss, "metrics": metrics})


def _seed(config: TrainConfig) -> None:
    if config.seed is not None:
        seed_everything(config.seed)


def _load(run_file: RunFile, path: Path) -> RunData:
    loss = _loss_target(run_file, path)
    with in_table(path, "data"):
        if run_file.data.scale_labels and getattr(loss, "unscaled_labels", False):
            raise ConfigError(
                f"The loss {run_file.loss.name} needs the labels in their units, and scale_labels "
                "is set: leave it out."
            )
        return load_data(run_file.data, binary=getattr(loss, "binary_labels", False))


def _loss_target(run_file: RunFile, path: Path) -> Any:
    """Return the loss, not yet built, and check its options, from which sizes of the model follow.

    It is built after the model, because it may draw random numbers for parameters of its own.
    """
    with in_table(path, "loss"):
        entry = registry().entry("loss", run_file.loss.name)
        target = entry.load()
        if callable(target) and entry.distribution is not None:  # code is checked when called
            leading = () if isclass(target) else ("batch", "model")
            check(f"The loss {entry.name!r}", target, leading, run_file.loss.options)
        return target


@explaining_versions
def build_metrics(
    run_file: RunFile,
    path: Path,
    preparation: Preparation | TensorPreparation | None,
    labels: Sequence[str],
) -> dict[str, Metric]:
    """Build the metrics over all data, in the units of the labels, and for each of several labels.

    Raises:
        ConfigError: One of them cannot be built.
    """
    with in_table(path, "metrics"):
        metrics = {
            label: registry().resolve("metric", table.name, (), table.options)
            for label, table in run_file.metrics.items()
        }
        return with_each_label(_in_label_units(resolve_metrics(metrics), preparation), labels)


def _in_label_units(
    metrics: dict[str, Metric], preparation: Preparation | TensorPreparation | None
) -> dict[str, Metric]:
    """Let metrics see outputs and labels in the units of the labels, if a run scales them.

    Raises:
        ConfigError: A metric says that it is for outputs in other units.
    """
    unscale = nn.Identity() if preparation is None else preparation.output_module()
    if isinstance(unscale, nn.Identity):
        return metrics
    for label, metric in metrics.items():
        if not getattr(metric, "scales_with_labels", True):
            raise ConfigError(
                f"The metric {label} reads outputs that are not in the units of the labels, so "
                "scale_labels in [data] would make it wrong: leave scale_labels out."
            )
    return {label: UnscaledMetric(metric, unscale) for label, metric in metrics.items()}


@explaining_versions
def build_loss(run_file: RunFile, path: Path) -> LossFunction | nn.Module:
    """Build the loss, with its weighting.

    Raises:
        ConfigError: One of them cannot be built.
    """
    with in_table(path, "loss"):
        loss_fn = registry().resolve("loss", run_file.loss.name, (), run_file.loss.options)
    if run_file.weighting is None:
        return loss_fn  # type: ignore[no-any-return]
    with in_table(path, "weighting"):
        table = run_file.weighting
        return WeightedLoss(loss_fn, {"name": table.name, **table.options})


def _provenance(run_file: RunFile, config: TrainConfig) -> Provenance:
    """Return the provenance of the parts that the trainer does not know by name."""
    found: Provenance = {}
    if run_file.data.name is not None:
        found["data"] = registry().entry("dataset", run_file.data.name).provenance()
    names = tracker_names(config.tracking_tool)
    for number, name in enumerate(names):
        part = "tracker" if len(names) == 1 else f"tracker_{number}"
        found[part] = registry().entry("tracker", name).provenance()
    return found
