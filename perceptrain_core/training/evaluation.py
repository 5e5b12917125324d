"""The loss on validation and test data: in evaluation mode and without gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.data import Epochs
from perceptrain_core.errors import DataError
from perceptrain_core.models.modes import evaluating
from perceptrain_core.tensors import detached
from perceptrain_core.training.averages import Averages, Row
from perceptrain_core.training.context import TrainingContext
from perceptrain_core.training.contract.error_hints import add_hints
from perceptrain_core.training.contract.loss_contract import check_result
from perceptrain_core.training.counts import without_repeated
from perceptrain_core.training.events import Events
from perceptrain_core.training.precision import in_precision
from perceptrain_core.types import Metrics, StepResult
from perceptrain_core.types import TrainingStage as Stage
from perceptrain_core.value_checks import checking_values


class TestRows(list[Row]):
    """A row for each batch of a test.

    Attributes:
        means: The averages over the test data, ``test_loss`` and ``test_NAME``.
    """

    means: Row


class Evaluation:
    """Evaluate the loss on one pass over data, and notify callbacks of each batch.

    Args:
        trainer: The trainer; ``opt_result`` receives the loss and metrics of each batch.
        events: Notified of each batch.
        model: The model to evaluate: the trainer's, or its moving average.
    """

    def __init__(self, trainer: TrainingContext, events: Events, model: nn.Module) -> None:
        self._trainer = trainer
        self._engine = trainer.engine
        self._events = events
        self._model = model
        self._loss_fn = in_precision(
            trainer.loss_fn, trainer.config.precision, trainer.engine.device
        )

    def validate(self, val: Mapping[str, Epochs], epoch: int, trained: Row | None = None) -> Row:
        """Return the averages over the validation data.

        Callbacks that save the run are not called, since this may be no moment to save it at.

        Args:
            val: The data of each set, by name; the name of a single set is empty.
            epoch: The epoch, or the number of the validation if those are after steps; callbacks
                count by it.
            trained: The averages of the epoch's training, which callbacks see beside these.

        Raises:
            DataError: A set has no batch, or the name of one and of a metric clash.
        """
        self._events.notify(Stage.VAL_EPOCH_START, epoch)
        self._engine.align(self._model, self._trainer.loss_fn)
        row = self._averages(val)
        result = self._trainer.opt_result
        result.loss, result.metrics = row["val_loss"], {**(trained or {}), **row}
        self._events.notify(Stage.VAL_EPOCH_END, epoch, row, savers=False)
        return row

    def _averages(self, val: Mapping[str, Epochs]) -> Row:
        """Return the averages over all sets, and over each that has a name."""
        whole, parts = Averages("val"), {name: Averages(f"val_{name}") for name in val if name}
        for name, epochs in val.items():
            before = whole.batches
            for batch in self._batches(epochs, Stage.VAL_BATCH_START, Stage.VAL_BATCH_END):
                whole.add(*batch)
                if name:
                    parts[name].add(*batch)
            if not self._engine.any(whole.batches > before):
                which = f" set {name!r}" if name else " data"
                raise DataError(
                    f"The validation{which} returned no batch: it is empty, or an iterator that is "
                    "used up."
                )
        row = whole.means_everywhere(self._engine)
        for name, part in parts.items():
            own = part.means_everywhere(self._engine)
            if clash := sorted(row.keys() & own.keys()):
                raise DataError(
                    f"The metrics of the validation set {name!r} have the names of others, "
                    f"{', '.join(clash)}: rename the set."
                )
            row |= own
        return row

    def test(self, test: Epochs) -> TestRows:
        """Return one row per batch of the test data."""
        rows, whole = TestRows(), Averages("test")
        for batch in self._batches(test, Stage.TEST_BATCH_START, Stage.TEST_BATCH_END):
            averages = Averages("test")
            averages.add(*batch)
            whole.add(*batch)
            rows.append(averages.means())
        rows.means = whole.means()
        return rows

    def _batches(
        self, epochs: Epochs, start: Stage, end: Stage
    ) -> Iterator[tuple[Tensor, Metrics, Any]]:
        """Yield the loss and the metrics of each batch, and the batch."""
        trainer = self._trainer
        with evaluating(self._model, trainer.loss_fn), torch.no_grad():
            for number, batch in enumerate(epochs.batches(), start=1):
                self._events.notify(start, number, batch)
                placed = self._engine.place(batch)
                with checking_values() if number == 1 else nullcontext():
                    result = self._call_loss(placed)
                if number == 1:
                    check_result(result)
                trainer.opt_result.loss, trainer.opt_result.metrics = result
                self._events.notify(end, number, result)
                loss, metrics = result
                yield loss.detach(), without_repeated(detached(metrics), batch), batch

    def _call_loss(self, batch: Any) -> StepResult:
        try:
            return self._loss_fn(batch, self._model)
        except Exception as error:
            add_hints(error, batch, self._model)
            raise
