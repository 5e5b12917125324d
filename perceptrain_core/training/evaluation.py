"""The loss on validation and test data: in evaluation mode and without gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.analysis.history import figures_in_line
from perceptrain_core.counts import without_repeated
from perceptrain_core.data import Epochs
from perceptrain_core.engine import Engine
from perceptrain_core.errors import DataError, ShapeError
from perceptrain_core.models.modes import evaluating
from perceptrain_core.optimizer_modes import evaluated_weights
from perceptrain_core.tensors import detached
from perceptrain_core.training.averages import Averages, Row, row_of
from perceptrain_core.training.context import TrainingContext
from perceptrain_core.training.contract.count_checks import made_counts, warn_of_uncounted
from perceptrain_core.training.contract.error_hints import add_hints, refuse_masked_parts
from perceptrain_core.training.contract.loss_contract import check_result
from perceptrain_core.training.contract.nonfinite_errors import FirstNonFinite
from perceptrain_core.training.contract.uncounted_epochs import warn_of_uncounted_pass
from perceptrain_core.training.evaluation_pass import EvaluationPass, make_pass
from perceptrain_core.training.events import Events
from perceptrain_core.training.metrics.dataset_metrics import DatasetMetrics
from perceptrain_core.training.precision import in_precision
from perceptrain_core.types import LossFunction, Metrics, SkipBatch, StepResult
from perceptrain_core.types import TrainingStage as Stage
from perceptrain_core.user_warnings import warn_user
from perceptrain_core.value_checks import checking_values


class TestRows(list[Row]):
    """A row for each batch of a test.

    Attributes:
        means: The averages over the test data, ``test_loss`` and ``test_NAME``.
    """

    means: Row

    def __repr__(self) -> str:
        """Return the test in a line, with the averages."""
        batches = f"{len(self)} {'batch' if len(self) == 1 else 'batches'}"
        means = figures_in_line(getattr(self, "means", {}))
        return f"TestRows({', '.join([batches, means] if means else [batches])})"


@dataclass
class _Figures:
    """What is computed over one pass."""

    averages: Averages
    metrics: DatasetMetrics
    nonfinite: FirstNonFinite

    def row(self, engine: Engine) -> Row:
        return self.averages.means_everywhere(engine) | self.metrics.compute()


class Evaluation:
    """Evaluate the loss on one pass over data, and notify callbacks of each batch.

    Args:
        trainer: The trainer; ``opt_result`` receives the loss and metrics of each batch.
        events: Notified of each batch.
        model: The model to evaluate: the trainer's, or its moving average.
        stopped: Whether a signal asks to stop; looked at after each batch of a validation.
        uncounted: The losses that a warning has named already, because nothing counts in them.
    """

    def __init__(
        self,
        trainer: TrainingContext,
        events: Events,
        model: nn.Module,
        stopped: Callable[[], bool] = lambda: False,
        uncounted: set[str] | None = None,
    ) -> None:
        self._trainer = trainer
        self._uncounted = set() if uncounted is None else uncounted
        self._engine = trainer.engine
        self._events = events
        self._model = model
        self._stopped = stopped
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

        Returns:
            The averages; nothing if a signal stopped the validation.

        Raises:
            DataError: A set has no batch, or the name of one and of a metric clash.

        Warns:
            UserWarning: The loss of a batch is NaN or infinite, or nothing counts in any.
        """
        with evaluated_weights(self._trainer.optimizer):
            return self._validate(val, epoch, trained)

    def _validate(self, val: Mapping[str, Epochs], epoch: int, trained: Row | None) -> Row:
        self._events.notify(Stage.VAL_EPOCH_START, epoch)
        self._engine.align(self._model, self._trainer.loss_fn)
        row = self._averages(val, epoch)
        if not row:
            return {}
        result = self._trainer.opt_result
        result.loss, result.metrics = row["val_loss"], {**(trained or {}), **row}
        before = dict(result.metrics)
        self._events.notify(Stage.VAL_EPOCH_END, epoch, row, savers=False)
        return row | _logged(before, self._trainer.opt_result.metrics)

    def _averages(self, val: Mapping[str, Epochs], epoch: int) -> Row:
        """Return the figures of all sets together, and of each that has a name."""
        whole = self._new_figures("val")
        parts: dict[str, _Figures] = {}
        for name, epochs in val.items():
            both = [whole]
            if name:
                both.append(parts.setdefault(name, self._new_figures(f"val_{name}")))
            if not self._add_batches(both, epochs, name):
                return {}
        row, what = whole.row(self._engine), f"The validation of epoch {epoch}"
        self._trainer.opt_result.extra |= whole.metrics.large
        if not parts:
            self._report(row, whole.averages, whole.nonfinite, what)
        for name, part in parts.items():
            own = part.row(self._engine)
            self._report(own, part.averages, part.nonfinite, f"{what}, set {name!r},")
            if clash := sorted(row.keys() & own.keys()):
                raise DataError(
                    f"The metrics of the validation set {name!r} have the names of others, "
                    f"{', '.join(clash)}: rename the set."
                )
            row |= own
            self._trainer.opt_result.extra |= part.metrics.large
        return row

    def _add_batches(self, figures: list[_Figures], epochs: Epochs, name: str) -> bool:
        """Evaluate a set; return whether it was not stopped."""
        loss_fn, batches = self._loss_fn, 0
        for each in figures:
            loss_fn = each.metrics.watch(loss_fn)
        which = f" set {name!r}" if name else " data"
        where, stages = f"the validation{which}", (Stage.VAL_BATCH_START, Stage.VAL_BATCH_END)
        for batch in self._batches(epochs, loss_fn, where, *stages):
            batches += 1
            for each in figures:
                each.averages.add(*batch)
                each.nonfinite.add(*batch[:2])
            if self._stopped():
                return False
        if not self._engine.any(batches > 0):
            raise DataError(
                f"The validation{which} returned no batch: it is empty, an iterator that is used "
                "up, or the loss skipped all of its batches. Pass a list or a loader."
            )
        return True

    def _new_figures(self, prefix: str) -> _Figures:
        return _Figures(Averages(prefix), self._new_metrics(prefix), FirstNonFinite())

    def test(self, test: Epochs) -> TestRows:
        """Return one row per batch that is not skipped, and compute the metrics over all."""
        with evaluated_weights(self._trainer.optimizer):
            return self._test(test)

    def _test(self, test: Epochs) -> TestRows:
        rows, whole, nonfinite = TestRows(), Averages("test"), FirstNonFinite()
        metrics = self._new_metrics("test")
        loss_fn = metrics.watch(self._loss_fn)
        stages = Stage.TEST_BATCH_START, Stage.TEST_BATCH_END
        for loss, metrics_of_loss, batch in self._batches(test, loss_fn, "the test data", *stages):
            whole.add(loss, metrics_of_loss, batch)
            nonfinite.add(loss, metrics_of_loss)
            rows.append(row_of({"loss": loss, **metrics_of_loss} | {"loss": loss}, "test"))
        means = whole.means()
        self._report(means, whole, nonfinite, "The test")
        state = self._trainer.run_state
        state.test_metrics = rows.means = means | (metrics.compute() if rows else {})
        state.opt_result.extra |= metrics.large
        return rows

    def _report(self, row: Row, averages: Averages, nonfinite: FirstNonFinite, what: str) -> None:
        """Warn, in the first process only, of a loss that is NaN or infinite, and why."""
        name = f"{averages.prefix}_loss"
        if isfinite(row[name]):
            return
        found = self._engine.gather(nonfinite.find())
        first = next((fault for fault in found if fault is not None), None)
        if self._engine.rank:
            return
        if averages.nothing_counted:
            if name not in self._uncounted:
                warn_of_uncounted_pass(what, name)
            self._uncounted.add(name)
        elif first is not None:
            warn_user(f"{what} is not finite: {first}. No such value counts as the best so far.")

    def _new_metrics(self, prefix: str) -> DatasetMetrics:
        # In a test every process sees all batches.
        return DatasetMetrics(self._trainer.metrics, self._engine, prefix, shared=prefix != "test")

    def _batches(
        self, epochs: Epochs, loss_fn: LossFunction, where: str, start: Stage, end: Stage
    ) -> Iterator[tuple[Tensor, Metrics, Any]]:
        """Yield the loss and the metrics of each batch that is not skipped, and the batch."""
        trainer = self._trainer
        first, seen = True, not self._events.stages.isdisjoint((start, end))
        models = self._model, trainer.model, trainer.loss_fn
        work = make_pass(self._engine, self._model, _checked(self._loss_fn), seen)
        with evaluating(*models), torch.no_grad(), work:
            for number, batch in enumerate(work.batches(epochs.batches()), start=1):
                self._events.notify(start, number, batch)
                own = _checked(loss_fn) if first else loss_fn
                call = partial(self._call_loss, work, own, self._engine.place(batch), where)
                try:
                    result = self._first(call, batch, epochs) if first else call()
                except SkipBatch:
                    continue
                first = False
                trainer.opt_result.loss, trainer.opt_result.metrics = result
                self._events.notify(end, number, result)
                loss, metrics = result
                yield loss.detach(), without_repeated(detached(metrics), batch), batch

    def _first(self, call: Callable[[], StepResult], batch: Any, epochs: Epochs) -> StepResult:
        refuse_masked_parts(batch)
        with checking_values(), made_counts() as made:
            result = call()
        if self._engine.world_size > 1 or epochs.count() != 1:
            warn_of_uncounted(result[1], batch, made)
        return result

    def _call_loss(
        self, work: EvaluationPass, loss_fn: LossFunction, batch: Any, where: str
    ) -> StepResult:
        try:
            return work.call(loss_fn, batch)
        except (DataError, ShapeError) as error:
            error.args = (f"On {where}: {error}", *error.args[1:])
            raise
        except Exception as error:
            add_hints(error, batch, work.model)
            error.add_note(f"This happened on {where}.")
            raise


def _checked(loss_fn: LossFunction) -> LossFunction:
    def checked(batch: Any, model: nn.Module) -> StepResult:
        result = loss_fn(batch, model)
        check_result(result)
        return result

    return checked


def _logged(before: Metrics, after: Metrics) -> Row:
    """Return what callbacks added to the metrics, or replaced, as floats."""
    return {n: float(v) for n, v in after.items() if n not in before or before[n] is not v}
