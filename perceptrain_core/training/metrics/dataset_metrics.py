"""The metrics of one pass over validation or test data."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from copy import deepcopy
from itertools import chain, zip_longest
from typing import Any

import cloudpickle
import torch
from torch import Tensor, nn

from perceptrain_core.data.support.device import data_to_device
from perceptrain_core.engine import Engine
from perceptrain_core.engine.sharded_loss import require_whole
from perceptrain_core.errors import ConfigError, TrainingError
from perceptrain_core.losses.support.outputs import point_predictor
from perceptrain_core.metrics import Metric
from perceptrain_core.tensors import describe
from perceptrain_core.training.averages import Row
from perceptrain_core.training.metrics.model_outputs import call_and_watch
from perceptrain_core.types import LossFunction, StepResult

# One batch as metrics see it: what the model returned, the labels, and the sample weights or None.
_Batch = tuple[Any, Any, Any]
# What outputs and labels become for metrics of predictions.
_Predictor = Callable[[Any, Any], Any]

#: What ``update`` may call the sample weights; scikit-learn has the first.
_WEIGHTS = ("sample_weight", "weights")


class DatasetMetrics:
    """Metrics over one pass: updated with each batch, computed once at the end.

    Args:
        metrics: The metrics by label; this pass works on copies.
        engine: Connects the processes.
        prefix: ``"val"`` or ``"test"``.
        shared: Whether each process sees a share of the data, rather than all.

    Attributes:
        large: The values with two or more dimensions, such as a confusion matrix, by name; once
            computed.
    """

    def __init__(
        self, metrics: Mapping[str, Metric], engine: Engine, prefix: str, shared: bool
    ) -> None:
        self.large: dict[str, Tensor] = {}
        self._prefix = prefix
        self._engine = engine
        self._gathers = shared and engine.world_size > 1
        self._metrics = {label: _fresh(metric, engine) for label, metric in metrics.items()}
        self._replayed = {
            label: metric
            for label, metric in self._metrics.items()
            if self._gathers and not _merges(metric)
        }
        self._batches: list[_Batch] = []
        self._predict: _Predictor | None = None

    def watch(self, loss_fn: LossFunction) -> LossFunction:
        """Return a loss that updates the metrics at each call; the loss itself if there are none.

        Raises:
            ConfigError: When called, if the loss returns a metric of the same name.
            DataError: When called, if the batch or the model's output does not fit.
        """
        if not self._metrics:
            return loss_fn
        self._predict = point_predictor(loss_fn)

        def watched(batch: Any, model: nn.Module) -> StepResult:
            result, *seen = call_and_watch(loss_fn, batch, model)
            if isinstance(result, tuple) and len(result) == 2:
                check_names(self._metrics, result[1])
                if self._engine.sharded is not None:  # such a batch is evaluated again
                    require_whole(*result)
            self._update(tuple(seen))
            return result

        return watched

    def compute(self) -> Row:
        """Return the values over the whole pass, over the data of all processes.

        Raises:
            DataError: A metric has no value.
            ConfigError: A metric returned something other than numbers.
        """
        self._gather()
        row: Row = {}
        for label, metric in self._metrics.items():
            for name, value in _named(f"{self._prefix}_{label}", _compute(label, metric)):
                if name in row or name in self.large:
                    raise ConfigError(
                        f"Two metrics are named {name!r}: give one of them another label, "
                        'metrics={"label": ...}.'
                    )
                if isinstance(value, Tensor):
                    self.large[name] = value.detach().cpu()
                else:
                    row[name] = value
        return row

    def _update(self, batch: _Batch) -> None:
        for label, metric in self._metrics.items():
            if label not in self._replayed:
                _add(label, metric, batch, self._predict)
        if self._replayed:
            self._batches.append(data_to_device(batch, "cpu"))

    def _gather(self) -> None:
        if not self._gathers:
            return
        for label, metric in self._metrics.items():
            if label not in self._replayed:
                # A class of a script or notebook cannot be sent by pickle alone.
                own = cloudpickle.dumps(data_to_device(metric, "cpu"))
                first, *others = map(pickle.loads, self._engine.gather(own))
                for other in others:
                    first.merge_state(other)
                self._metrics[label] = first
        if self._replayed:
            for batch in _in_order(self._engine.gather(self._batches)):
                placed = data_to_device(batch, self._engine.device)
                for label, metric in self._replayed.items():
                    _add(label, metric, placed, self._predict)


def check_names(labels: Iterable[str], of_loss: Collection[str]) -> None:
    """Check that no metric over the data set has the name of a metric of the loss.

    Args:
        labels: The labels of the metrics over the data set.
        of_loss: The names of the metrics that the loss returned.

    Raises:
        ConfigError: One has.
    """
    for label in labels:
        if label in of_loss:
            raise ConfigError(
                f"The loss returns a metric {label!r}, and metrics has one of this name too: the "
                "mean over batches and the value over the data set need different names. Leave "
                "the former out if an option of the loss adds it, such as accuracy=True; or give "
                f'the latter another label: metrics={{"{label}_of_all": ...}}.'
            )


def _fresh(metric: Metric, engine: Engine) -> Metric:
    metric = deepcopy(metric)
    if isinstance(metric, nn.Module):  # of torchmetrics
        metric.to(engine.device)
        module: Any
        for module in metric.modules():
            if hasattr(module, "distributed_available_fn"):
                module.distributed_available_fn = _never  # the processes are combined here
    metric.reset()
    return metric


def _never() -> bool:
    return False


def _merges(metric: Metric) -> bool:
    # The merge_state of torchmetrics is not exact for means over processes.
    return hasattr(metric, "merge_state") and not isinstance(metric, nn.Module)


def _in_order(shares: list[list[_Batch]]) -> Iterator[_Batch]:
    """Yield the batches of all processes in the order of the data, which deals them in turn."""
    rounds = zip_longest(*shares)
    return (batch for batch in chain.from_iterable(rounds) if batch is not None)


def _compute(label: str, metric: Metric) -> Any:
    with torch.no_grad():
        return _call(label, metric.compute)


def _add(label: str, metric: Metric, batch: _Batch, predict: _Predictor | None) -> None:
    outputs, labels, weights = batch
    if predict is not None and getattr(metric, "takes_predictions", False):
        try:
            outputs = _call(label, predict, outputs, labels)
        except ConfigError as error:  # a loss without predictions does not know who asks
            error.args = (f"The metric {label!r} needs a prediction for each label. {error}",)
            raise
    options = {} if weights is None else dict.fromkeys(_weight_name(metric), weights)
    _call(label, metric.update, outputs, labels, **options)


def _weight_name(metric: Metric) -> list[str]:
    """Return how ``update`` calls the sample weights; nothing if it has none."""
    try:
        parameters = inspect.signature(metric.update).parameters
    except (TypeError, ValueError):  # written in C
        return []
    return [name for name in _WEIGHTS if name in parameters][:1]


def _call(label: str, method: Any, *arguments: Any, **options: Any) -> Any:
    try:
        return method(*arguments, **options)
    except Exception as error:
        where = getattr(method, "__name__", "point_prediction")  # of a partial
        error.add_note(f"This was the metric {label!r}, in {where}.")
        raise


def _named(name: str, value: Any) -> Iterator[tuple[str, float | Tensor]]:
    """Yield a name for each number that a metric returned, and tensors of more dimensions."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _named(f"{name}_{key}", item)
    elif isinstance(value, Tensor) and value.ndim == 1:
        for number, item in enumerate(value.tolist()):
            yield f"{name}_{number}", float(item)
    elif isinstance(value, Tensor) and value.ndim > 1:
        yield name, value
    else:
        try:
            yield name, float(value)
        except (TypeError, ValueError):
            raise TrainingError(
                f"The metric {name!r} returned {describe(value)}; expected a number, a tensor, or "
                "a mapping of names to numbers."
            ) from None
