"""The loss on other data: in evaluation mode, without gradients, each module's mode restored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from perceptrain_core.data import Epochs
from perceptrain_core.engine import Engine
from perceptrain_core.errors import DataError
from perceptrain_core.models.modes import evaluating
from perceptrain_core.tensors import detached
from perceptrain_core.training.averages import Meter, Row, means_of, rows_of
from perceptrain_core.training.contract.error_hints import advise
from perceptrain_core.training.contract.loss_contract import check_result
from perceptrain_core.training.events import Events
from perceptrain_core.types import Metrics, OptimizeResult
from perceptrain_core.types import TrainingStage as Stage


class Run(Protocol):
    """What an evaluation needs to know of the run that it belongs to."""

    engine: Engine
    opt_result: OptimizeResult


class Evaluation:
    """Evaluate a loss on the batches of one pass, and tell callbacks as it goes.

    Args:
        run: Has the engine, and the ``opt_result`` that callbacks see and may replace; the loss and
            the metrics of each batch are put there.
        events: Told of each batch.
        model: The model.
        loss_fn: The loss.
        call: The loss as it is to be called.
    """

    def __init__(self, run: Run, events: Events, model: Any, loss_fn: Any, call: Any) -> None:
        self._run = run
        self._engine = run.engine
        self._events = events
        self._model = model
        self._loss_fn = loss_fn
        self._call_loss = call

    def validate(self, val: Epochs, epoch: int, trained: Row | None = None) -> Row:
        """Give the means over the validation data.

        Args:
            val: The data.
            epoch: The epoch, for callbacks.
            trained: The means of the epoch's training, which callbacks see beside these.

        Raises:
            DataError: There is no batch.
        """
        self._events.tell(Stage.VAL_EPOCH_START, epoch)
        self._engine.align(self._model, self._loss_fn)
        meter = Meter("val")
        for batch in self._batches(val, Stage.VAL_BATCH_START, Stage.VAL_BATCH_END):
            meter.add(*batch)
        if not self._engine.any(meter.batches > 0):
            raise DataError("The validation data gave no batch: they are empty or used up.")
        row = means_of(self._engine.gather(meter.totals()), "val")
        result = self._run.opt_result
        result.loss, result.metrics = row["val_loss"], {**(trained or {}), **row}
        self._events.tell(Stage.VAL_EPOCH_END, epoch, row)
        return row

    def test(self, test: Epochs) -> list[Row]:
        """Give a row for each batch of the test data."""
        rows = []
        for batch in self._batches(test, Stage.TEST_BATCH_START, Stage.TEST_BATCH_END):
            meter = Meter("test")
            meter.add(*batch)
            rows.append(meter.means())
        return rows

    def _batches(
        self, epochs: Epochs, start: Stage, end: Stage
    ) -> Iterator[tuple[Tensor, Metrics, int]]:
        """Give the loss and metrics of each batch, and its rows."""
        with evaluating(self._model, self._loss_fn), torch.no_grad():
            for number, batch in enumerate(epochs.batches(), start=1):
                self._events.tell(start, number, batch)
                result = self._call(self._engine.place(batch))
                if number == 1:
                    check_result(result)
                self._run.opt_result.loss, self._run.opt_result.metrics = result
                self._events.tell(end, number, result)
                loss, metrics = result
                yield loss.detach(), detached(metrics), rows_of(batch)

    def _call(self, batch: Any) -> Any:
        try:
            return self._call_loss(batch, self._model)
        except Exception as error:
            advise(error, batch, self._model)
            raise
