"""A run: train it, test it, or try it on one batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from perceptrain_core.callbacks import Callback, EarlyStopping, TrainerContext
from perceptrain_core.callbacks.support.metric_callback import MetricCallback
from perceptrain_core.checkpoints.folder import base_folder, newest_run_folder
from perceptrain_core.config import TrainConfig
from perceptrain_core.data.files.splits import Splits
from perceptrain_core.data.tables.preparation import Preparation
from perceptrain_core.data.tables.preparation_file import write_preparation
from perceptrain_core.data.tables.tensor_preparation import TensorPreparation
from perceptrain_core.errors import ConfigError, DataError
from perceptrain_core.inference.columns_file import write_csv_file
from perceptrain_core.inference.predictions import Target
from perceptrain_core.losses.support.outputs import output_activation
from perceptrain_core.metrics_file import TEST
from perceptrain_core.optimizer_modes import has_modes
from perceptrain_core.runs.baseline import Settings, shortfall
from perceptrain_core.runs.file_names import PREDICTIONS, PREPARATION, RUN_FILE, VAL
from perceptrain_core.runs.folder import (
    discarded_if_empty,
    write_history,
    write_results,
    write_run_file,
    write_validations,
    write_weights,
)
from perceptrain_core.runs.held_out import held_out_columns
from perceptrain_core.runs.read import read_run_file
from perceptrain_core.runs.record import Fingerprint, RunRecord, write_record
from perceptrain_core.runs.tables import RunFile
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.training.trainer import Trainer

_OWN = "perceptrain_core."


@dataclass
class Run:
    """A run that is ready to train.

    Attributes:
        run_file: The tables that it was built from.
        trainer: The trainer, with model, optimizer, loss and loaders.
        splits: The data.
        preparation: How a row of the table becomes an input of the model, and an output a value of
            the labels; ``None`` if the data are used as they are.
        notes: What was found in the data, a sentence each.
        record: What the folder says of the labels.
    """

    run_file: RunFile
    trainer: Trainer
    splits: Splits
    preparation: Preparation | TensorPreparation | None = None
    notes: list[str] = field(default_factory=list)
    record: RunRecord = field(default_factory=RunRecord)

    def train(self, resume: bool | str | Path = False) -> Path:
        """Train, and write the run folder.

        The folder holds ``run.toml``, the complete run file with the versions in use, written
        when training starts; ``metrics.csv``, a row for each epoch; ``validations.csv``, a
        row for each validation after steps, if there are any; the checkpoints; and ``model.pt``,
        the trained weights. Call `evaluate` for their figures. If the first batch fails, no folder
        is left.

        Args:
            resume: As for ``Trainer.fit``; by default, what the run file says.

        Returns:
            The run folder.

        Raises:
            ConfigError: The run to resume used a different model, loss, weighting or optimizer.
        """
        config = self.trainer.config
        resume = resume or config.resume
        if resume is True:
            self._require_same_parts(newest_run_folder(config) / RUN_FILE)
        record = Callback("train_start", callback=self._write_run_file)
        self.trainer.config = replace(config, callbacks=[*config.callbacks, record])
        base = base_folder(config).absolute()
        cleanup = discarded_if_empty(base, lambda: self.trainer.run_state.log_folder)
        with cleanup if self.writes else nullcontext():
            self.trainer.fit(resume=resume)
        folder = self.trainer.log_folder
        if self.writes:
            self._write_results(folder)
        return folder

    @property
    def writes(self) -> bool:
        """Whether this process writes files and prints: the first one, if there are several."""
        return self.trainer.engine.rank == 0

    def _write_results(self, folder: Path) -> None:
        for outdated in (VAL, TEST):  # of the weights before a resume
            (folder / outdated).unlink(missing_ok=True)
        write_history(folder, self.trainer.history)
        write_validations(folder, self.trainer.validations)
        write_weights(folder, self.trainer.model)
        if self.preparation is not None:
            write_preparation(folder / PREPARATION, self.preparation)
        write_record(folder, self._complete_record(folder))

    def _complete_record(self, folder: Path) -> RunRecord:
        weights, epoch = "last", self.trainer.current_epoch
        if self.trainer.config.ema:
            weights = "average"
        elif best := restored_epoch(self.trainer.callbacks):
            weights, epoch = "best", best
        elif has_modes(self.trainer.optimizer):
            weights = "average"
        file = self.run_file.data.file
        data = None if file is None else Fingerprint.of(file, folder)
        found = {"weights": weights, "epoch": epoch, "data": data}
        return self.record.model_copy(update=found)

    def evaluate(self) -> dict[str, float]:
        """Return the figures of the trained weights: of `validate` and `test`, if there are data.

        Raises:
            DataError: The test data have no batch.
        """
        tested = self.test() if self.splits.test is not None else {}
        return (self.validate() if self.splits.val is not None else {}) | tested

    def validate(self) -> dict[str, float]:
        """Return the averages over the validation data, and write them to ``val.json``.

        Callbacks are not called: they belong to the training, which has ended.
        """
        trained = self.trainer
        trainer = Trainer(
            trained.model,
            None,
            dry_config(trained.config),
            trained.loss_fn,
            val_dataloader=self.splits.val,
            metrics=trained.metrics,
        )
        means = trainer.validate()
        if self.writes:
            write_results(trained.log_folder / VAL, means)
        return means

    def test(self) -> dict[str, float]:
        """Return the averages and the metrics over the test data, and write ``test.json``.

        Raises:
            DataError: The test data have no batch.
        """
        rows = self.trainer.test()
        if not rows:
            raise DataError(
                "The test data have no batch: they are empty, or an iterator that can be "
                "used only once: return a list or a loader."
            )
        if self.writes:
            write_results(self.trainer.log_folder / TEST, rows.means)
        return rows.means

    def write_predictions(self) -> None:
        """Write ``predictions.csv``: truth and predictions of the test or the validation rows."""
        restore = None if self.preparation is None else self.preparation.output_module()
        loss_fn = self.trainer.loss_fn
        target = Target(self.record.labels, self.record.classes, output_activation(loss_fn))
        columns = held_out_columns(self.trainer.model, loss_fn, self.splits, restore, target)
        if columns and self.writes:
            write_csv_file(self.trainer.log_folder / PREDICTIONS, [columns])

    def shortfall(self) -> str | None:
        """Return a sentence if a constant is as good as the trained model, see `shortfall`."""
        data, loss = self.run_file.data, self.run_file.loss
        weighted = data.weights is not None or bool({"weight", "pos_weight"} & {*loss.options})
        settings = Settings(loss.name, data.scale_labels, data.standardize, weighted)
        return shortfall(self.trainer.model, self.splits, settings, self.record.classes)

    def try_one_batch(self) -> dict[str, float]:
        """Train and validate on one batch without writing anything; return the metrics.

        Raises:
            CallbackError: A callback monitors a metric that the run does not have.
        """
        callbacks = self.trainer.callbacks
        self.trainer.max_batches = 1
        self.trainer.config = dry_config(self.trainer.config)
        self.trainer.fit()
        row = self.trainer.history[0]
        _check_monitors(callbacks, row, bool(self.trainer.config.val_every))
        return row

    def _require_same_parts(self, path: Path) -> None:
        """Refuse options that the checkpoint's state would silently override."""
        if not path.exists():
            return
        before, now = read_run_file(path), self.run_file
        tables = ("model", "loss", "weighting", "optimizer")
        changed = [t for t in tables if getattr(before, t) != getattr(now, t)]
        if changed:
            raise ConfigError(
                f"The run in {path.parent} has other options in [{'], ['.join(changed)}]. A "
                "resumed run must use the same ones: restore them, or start a new run without "
                "--resume."
            )

    def _write_run_file(
        self, trainer: TrainerContext, config: TrainConfig, writer: Tracker
    ) -> None:
        provenance = self.trainer.provenance
        if trainer.opt_result.rank == 0:
            write_run_file(trainer.log_folder, self.run_file, self.trainer.config, provenance)


def _check_monitors(callbacks: Sequence[Callback], row: dict[str, float], validates: bool) -> None:
    """Check the metrics that callbacks monitor, unless another callback may add metrics."""
    kinds = [type(callback) for callback in callbacks]
    if Callback in kinds or not all(kind.__module__.startswith(_OWN) for kind in kinds):
        return
    for callback in callbacks:
        if isinstance(callback, MetricCallback):
            callback.require_metric(row, validates)


def restored_epoch(callbacks: Iterable[Callback]) -> int:
    """Return the epoch whose weights early stopping restored; 0 if it restored none."""
    stops = [each for each in callbacks if isinstance(each, EarlyStopping) and each.restore_best]
    return next((each.best_epoch for each in stops), 0)


def dry_config(config: TrainConfig) -> TrainConfig:
    """Return settings for one epoch that writes nothing."""
    return replace(
        config,
        max_iter=1,
        val_every=int(config.validates),
        val_every_steps=0,
        max_time=None,
        progress=False,
        print_every=0,
        write_every=0,
        checkpoint_every=0,
        checkpoint_best_only=False,
        plot_every=0,
        live_plot_every=0,
        log_model=False,
        hyperparams={},
        callbacks=[],
        tracking_tool="none",
    )
