"""A trained run, ready to use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.config import TrainConfig
from perceptrain_core.data.files.splits import Splits, rows_of_tensors
from perceptrain_core.data.tables.encode import ClassName
from perceptrain_core.data.tables.preparation import Preparation
from perceptrain_core.errors import DataError
from perceptrain_core.inference.outputs import ROWS, device_of, evaluate, require_tensor
from perceptrain_core.inference.pipeline import Pipeline
from perceptrain_core.inference.predictions import Predictions, Target
from perceptrain_core.losses.support.outputs import any_says, output_activation, outputs_per_label
from perceptrain_core.models.modes import evaluating
from perceptrain_core.registry import registry
from perceptrain_core.runs.build import build_loss, build_metrics, train_config
from perceptrain_core.runs.data import RunData, load_data, with_binary_labels
from perceptrain_core.runs.data_options import ignored_label
from perceptrain_core.runs.data_paths import options_with_paths
from perceptrain_core.runs.file_names import RUN_FILE
from perceptrain_core.runs.record import Fingerprint, RunRecord
from perceptrain_core.runs.run import dry_config
from perceptrain_core.runs.tables import RunFile
from perceptrain_core.trained.export.export_pipeline import export_pipeline, target_path
from perceptrain_core.trained.export.formats import Format, file_format
from perceptrain_core.trained.kept_columns import read_kept
from perceptrain_core.trained.rows import (
    AnyPreparation,
    complete_rows,
    labelled_rows,
    raw_rows,
    unscaled,
)
from perceptrain_core.trained.trust import trusting
from perceptrain_core.trained.write_predictions import write_predictions
from perceptrain_core.training.provenance import versions
from perceptrain_core.training.trainer import Trainer
from perceptrain_core.types import LossFunction
from perceptrain_core.user_warnings import warn_user

_COMPARED = 1024


@dataclass(frozen=True)
class TrainedRun:
    """A trained run, as `load_run` returns it.

    Attributes:
        folder: The run folder.
        model: The model, with its weights, in evaluation mode.
        weights: Which weights they are, such as ``"last, epoch 20"``.
        run_file: The tables of the run file.
        preparation: What was done to inputs and labels; ``None`` if they were used as they are.
        record: What the folder says about weights, labels and data.
        trust: Whether code that the run file names may be imported.
    """

    folder: Path
    model: nn.Module = field(repr=False)
    weights: str
    run_file: RunFile = field(repr=False)
    preparation: AnyPreparation = field(repr=False)
    record: RunRecord = field(repr=False)
    trust: bool = field(default=False, repr=False)

    @property
    def classes(self) -> tuple[ClassName, ...] | None:
        """The classes in the order of their numbers, text or numbers as in the data, if any."""
        return self.record.classes

    @cached_property
    def loss_fn(self) -> LossFunction | nn.Module:
        """The loss of the training, with its weighting."""
        with self._trusting():
            return build_loss(self.run_file, self._path)

    @cached_property
    def target(self) -> Target:
        """What the model predicts."""
        activation = output_activation(self.loss_fn)
        return Target(self.record.labels, self.record.classes, activation)

    def pipeline(self) -> Pipeline:
        """Return the module that turns raw rows into predictions, in evaluation mode.

        It takes what the preparation takes: for a table, rows of shape ``(N, columns)``, float64,
        with the code of each category and NaN for missing values.
        """
        prepared = self.preparation
        prepare = None if prepared is None else prepared.input_module()
        restore = None if prepared is None else prepared.output_module()
        per_label = outputs_per_label(self.loss_fn)
        return Pipeline(self.model, prepare, self.target.activation, restore, per_label).eval()

    def predict(self, data: Any, batch_size: int = ROWS) -> Predictions:
        """Predict rows as they come, with the preparation of the training.

        Args:
            data: For a run on a table: a path of a CSV, Parquet or other file, a DataFrame, a
                mapping of columns, or an array with the inputs in their order; other columns are
                ignored. For a run on tensors: a tensor or an array of shape ``(N, ...)``, not yet
                scaled; or a path, if the data set of the run reads new rows itself, as
                ``image_folder`` does.
            batch_size: The largest number of rows that are evaluated at a time; fewer if each is
                large, as images are.

        Returns:
            The predictions, in the units of the labels; for classes their numbers, names and
            probabilities.

        Raises:
            DataError: The data cannot be read, lack a column, or have a value that cannot be used;
                or the model returned something else than a tensor.
            ShapeError: The rows have another shape than those of the training.

        Warns:
            UserWarning: A column has categories that the training did not have. Their inputs are 0,
                unless ``unseen = "refuse"`` or ``categories = "codes"`` in ``[data]`` makes them an
                error.
        """
        return Predictions.joined(list(self.predict_in_batches(data, batch_size)))

    def predict_in_batches(self, data: Any, batch_size: int = ROWS) -> Iterator[Predictions]:
        """Yield the predictions of successive rows, as `predict`; a file is never held as a whole.

        Args:
            data: As for `predict`.
            batch_size: The number of rows that are read and evaluated at a time.

        Warns:
            UserWarning: After the last row, see `predict`.
        """
        pipeline = self.pipeline().to(device_of(self.model))
        for rows in self._raw_rows(data, batch_size):
            with self._trusting():
                outputs = evaluate(pipeline, rows)
            yield Predictions.of(require_tensor(outputs), self.target)

    def write_predictions(
        self, data: str | Path, out: Path | None = None, keep: Sequence[str] = ()
    ) -> int:
        """Predict rows, and write them as they come.

        Args:
            data: A path of a table; or, if the data set of the run reads new rows itself, what it
                reads.
            out: ``.csv`` or ``.parquet``, and CSV to stdout by default; or what the data set
                writes, such as a folder of masks.
            keep: Names or patterns of columns of a table to write before the predictions. With a
                label among them, predictions are named ``prediction[LABEL]``.

        Returns:
            The number of rows.

        Raises:
            DataError: The data cannot be read, or the predictions cannot be written.
        """
        parts = self.predict_in_batches(data)
        write = getattr(self._data_set, "write_predictions", None)
        if keep and not isinstance(self.preparation, Preparation):
            raise DataError(
                "This run was not trained on a table, so no column can be kept: leave out keep."
            )
        if write is not None:
            rows: int = write(parts, Path(data), out)
            return rows
        text = out is None or out.suffix.lower() != ".parquet"
        kept = read_kept(Path(data), keep, self.run_file.data.separator, text)
        return write_predictions(parts, out, kept)

    def test(self, data: Any = None) -> dict[str, float]:
        """Evaluate the loss and the metrics of the run file.

        Args:
            data: As for `predict`, with the labels: a path or a table that has the label columns;
                a pair of inputs and labels; or a path, if the data set of the run reads labelled
                rows itself, as ``image_folder`` does. By default, the test data of the training,
                or the validation data if there are no test data.

        Returns:
            ``test_loss`` and ``test_NAME`` for each metric; with several labels also
            ``test_NAME[LABEL]`` for each metric of regression and each label. The loss is in the
            units of the training, metrics over the data are in those of the labels.

        Raises:
            DataError: The data cannot be read, or the run has no test or validation data.
            TrustError: The run file names code to import, and is not trusted.

        Warns:
            UserWarning: The data file has changed since the training; or the validation data are
                used, because there are no test data; or rows are left out, in which a label is
                missing, as the training left them out with ``missing`` in ``[data]``.
        """
        rows = self._held_out() if data is None else self._labelled(data)
        with self._trusting():
            labels = self.record.labels
            metrics = build_metrics(self.run_file, self._path, self.preparation, labels)
            trainer = Trainer(self.model, None, self._settings(), self.loss_fn, metrics=metrics)
        with self._trusting(), evaluating(self.model):
            return dict(trainer.test(rows).means)

    def rows(self) -> RunData:
        """Read the data of the training again, divided and prepared as they were.

        Raises:
            DataError: They cannot be read.
            TrustError: The run file names code to import, and is not trusted.

        Warns:
            UserWarning: The data file has changed since the training.
        """
        self._compare_file()
        with self._trusting():
            return load_data(self.run_file.data, binary=self._binary)

    def export(
        self, path: str | Path | None = None, format: Format = "torch-export", data: Any = None
    ) -> Path:
        """Export the run to a file that predicts without Perceptrain.

        The file has one input, ``rows``, and one output, ``predictions``. The preparation and the
        units of the labels are part of it, and the number of rows is free. Rows of a table have
        shape ``(N, columns)``, float64, with the code of each category and NaN for a missing value.
        A description is written beside it, to ``path`` with ``.json`` added, and into the file as
        ``perceptrain.json``. Predictions of the file are compared with those of the run.

        Args:
            path: The file to write; by default ``exported.pt2``, ``.onnx`` or ``.ts`` in the run
                folder. Without a suffix, it gets that of the format.
            format: ``"torch-export"``; ``"onnx"``, which needs the extra ``onnx``; or
                ``"torchscript"``, for older programs.
            data: Rows to compare with, as for `predict`; by default those of the training.

        Returns:
            The path of the file.

        Raises:
            ConfigError: The format is unknown, or the path is not one of such a file.
            DataError: The rows cannot be read.
            ExportError: The model cannot be exported, or the file would predict something else.
            MissingDependencyError: The extra is not installed.
            TrustError: The run file names code to import, and is not trusted.

        Warns:
            UserWarning: The data file has changed since the training.
        """
        into = file_format(format)
        path = target_path(path, self.folder, into)
        rows = self._sample(data)
        about = {
            "format": into.name,
            "run": self.folder.name,
            "weights": self.weights,
            "versions": versions({}),
        }
        export_pipeline(self.pipeline(), rows, self.preparation, self.target, about, path, into)
        return path

    def _sample(self, data: Any) -> Tensor:
        """Return some raw rows to compare with."""
        if data is not None:
            separator = self.run_file.data.separator
            rows = next(raw_rows(data, self.preparation, _COMPARED, separator), torch.empty(0))
        elif isinstance(self.preparation, Preparation):
            self._compare_file()
            rows = complete_rows(self.run_file.data, self.preparation, _COMPARED)
        else:
            tensors = rows_of_tensors(self.rows().splits.train)
            if tensors is None:
                raise DataError(
                    "The data of this run are not rows of a tensor: pass data (--data FILE), some "
                    "rows to compare the exported file with."
                )
            rows = unscaled(tensors[0][:_COMPARED], self.preparation)
        if not len(rows):
            raise DataError(
                "There are no rows to compare the exported file with: pass data (--data FILE)."
            )
        return rows

    def _raw_rows(self, data: Any, batch_size: int) -> Iterator[Tensor]:
        if isinstance(data, str | Path):
            read = getattr(self._data_set, "read_inputs", None)
            if read is not None:
                return iter(read(Path(data), **self.run_file.data.options))
        return raw_rows(data, self.preparation, batch_size, self.run_file.data.separator)

    @property
    def _data_set(self) -> Any:
        """The data set by name that the run was trained on, not yet called."""
        name = self.run_file.data.name
        if name is None or (":" in name and not self.trust):  # a reference to code
            return None
        return registry().entry("dataset", name).load()

    def _held_out(self) -> Any:
        splits = self.rows().splits
        if splits.test is not None:
            return splits.test
        if splits.val is None:
            raise DataError(
                "This run has neither test nor validation data: pass data with labels, or train "
                "with test_fraction in [data]."
            )
        warn_user(
            "This run has no test data, so it is tested on its validation data, which may have "
            "chosen its settings: pass data with labels, or train with test_fraction in [data]."
        )
        return splits.val

    def _labelled(self, data: Any) -> Any:
        if isinstance(data, str | Path):
            read = getattr(self._data_set, "read_labelled", None)
            if read is not None:
                data = read(Path(data), **options_with_paths(self.run_file.data))
        table = self.run_file.data
        rows = labelled_rows(data, self.preparation, table.separator, table.missing)
        ignored = ignored_label(self.run_file.data)
        made = RunData(Splits(rows), self.preparation, ignored=ignored)
        return (with_binary_labels(made) if self._binary else made).splits.train

    def _compare_file(self) -> None:
        known, file = self.record.data, self.run_file.data.file
        if known is None or file is None:
            return
        if not file.is_file():
            raise DataError(
                f"The data file of the training is not at {file}: pass data, a file like it "
                "(perceptrain test RUN DATA, or perceptrain export RUN --data DATA)."
            )
        if Fingerprint.of(file, self.folder) != known:
            warn_user(
                f"{file} has changed since the training, and so may its division into "
                "training and test rows: pass the data to test on."
            )

    def _settings(self) -> TrainConfig:
        config = train_config(self.run_file.model_copy(update={"callbacks": []}), self._path)
        settings = replace(dry_config(config), nprocs=1, compute_setup="cpu", verbose=False)
        if device_of(self.model).type == "cuda":
            settings.compute_setup = "gpu"
        return settings

    def _trusting(self) -> AbstractContextManager[None]:
        return trusting(self.trust, self.run_file, self._path)

    @property
    def _binary(self) -> bool:
        return any_says(self.loss_fn, "binary_labels")

    @property
    def _path(self) -> Path:
        return self.folder / RUN_FILE
