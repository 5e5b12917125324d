"""The base of the metrics of classification: tasks, logits and checks, around torchmetrics."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from perceptrain_core.errors import DataError
from perceptrain_core.metrics.support.class_scores import (
    TASKS,
    Rows,
    Task,
    look_like_probabilities,
    probabilities,
    rows_of,
)
from perceptrain_core.metrics.support.torchmetrics_package import (
    classification_metric,
    require_torchmetrics,
)
from perceptrain_core.option_checks import check_choice
from perceptrain_core.user_warnings import warn_user

Outputs = Literal["logits", "probabilities"]

# Fewer rows may add up to 1 by chance.
_ENOUGH_ROWS = 8


class ClassificationMetric:
    """A metric of ``torchmetrics.classification``, made when the first batch shows the task.

    Outputs of the model and labels, ``N`` rows and ``C`` classes:

    | task | outputs | labels |
    |---|---|---|
    | ``"binary"`` | ``(N,)`` or ``(N, 1)``: one score per row | 0 or 1, ``(N,)`` or ``(N, 1)`` |
    | ``"binary"``, if passed | ``(N, 2)``: one score per class | 0 or 1, ``(N,)`` |
    | ``"multiclass"`` | ``(N, C)``, ``C > 1`` | class indices, integers, ``(N,)`` |
    | ``"multilabel"`` | ``(N, C)`` | 0 or 1, ``(N, C)`` |

    More dimensions, such as the pixels of ``(N, C, H, W)``, count as rows.

    Args:
        task: One of the table; by default, the shapes of the first batch decide.
        outputs: ``"logits"``, or log-probabilities of several classes; or ``"probabilities"``.
        ignore_index: A label that marks elements to leave out.

    Raises:
        ConfigError: An option is invalid, or the metric does not support the task.
        MissingDependencyError: torchmetrics is not installed.
    """

    higher_is_better: ClassVar[bool | None] = True
    #: The classes of torchmetrics, without the task.
    _kind: ClassVar[str]
    _tasks: ClassVar[tuple[str, ...]] = TASKS

    def __init__(
        self,
        task: Task | None = None,
        outputs: Outputs = "logits",
        ignore_index: int | None = None,
    ) -> None:
        require_torchmetrics(self.name)
        self.task, self.outputs, self.ignore_index = task, outputs, ignore_index
        self._check("task", task, (None, *self._tasks))
        self._check("outputs", outputs, get_args(Outputs))
        self.reset()

    @property
    def name(self) -> str:
        """The name of the metric, for messages: that of its class in snake case."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()

    def reset(self) -> None:
        """Forget all batches."""
        self._inner: Any = None
        self._seen: Task | None = None
        self._rows = 0
        self._like_probabilities = True
        self._nan = False

    def update(self, preds: Any, target: Any) -> None:
        """Add a batch.

        Raises:
            ShapeError: The shapes do not fit the task.
            DataError: A label is not a class, or outputs that should be probabilities are not.
        """
        logits = self.outputs == "logits"
        rows = rows_of(preds, target, self.task, self.ignore_index, logits)
        if not len(rows.labels):
            return
        if self._inner is None:
            self._seen = rows.task
            self._inner = self._make(rows)
        self._rows += len(rows.labels)
        self._inner.update(self._scores(rows), rows.labels)

    def merge_state(self, other: ClassificationMetric) -> None:
        """Add the batches that another metric of the same class has seen."""
        if other._inner is None:
            return
        if self._inner is None:
            self._seen, self._inner = other._seen, other._inner
        else:
            self._inner.merge_state(other._inner)
        self._rows += other._rows
        self._like_probabilities &= other._like_probabilities
        self._nan |= other._nan

    def to(self, device: torch.device | str) -> ClassificationMetric:
        """Move what was collected to a device."""
        if self._inner is not None:
            self._inner.to(device)
        return self

    def compute(self) -> Tensor:
        """Return the metric over all batches; NaN if an output was NaN.

        Raises:
            DataError: There was no row, or the outputs are probabilities and not logits.

        Warns:
            UserWarning: All outputs of a binary or multilabel task are between 0 and 1.
        """
        if self._inner is None:
            raise DataError(f"{self.name} has seen no rows, so it has no value.")
        self._check_logits()
        value = self._value()
        return torch.full_like(value, torch.nan, dtype=torch.float64) if self._nan else value

    def _value(self) -> Tensor:
        value: Tensor = self._inner.compute()
        return value

    def _make(self, rows: Rows) -> Any:
        self._check("task", rows.task, self._tasks)
        task = self._counted(rows)
        sizes = {"multiclass": "num_classes", "multilabel": "num_labels"}
        size = {sizes[task]: rows.classes} if task in sizes else {}
        options = {"ignore_index": self.ignore_index, **size, **self._options(task)}
        metric = classification_metric(task.capitalize() + self._kind, **options)
        return metric.to(rows.scores.device)

    def _counted(self, rows: Rows) -> Task:
        """Return the task whose class of torchmetrics sees the rows."""
        return rows.task

    def _options(self, task: Task) -> dict[str, Any]:
        """Return the options of the class of torchmetrics for a task; subclasses extend this."""
        return {}

    def _scores(self, rows: Rows) -> Tensor:
        if not rows.scores.is_floating_point():
            raise DataError(f"The model's output is {rows.scores.dtype}; expected floats, logits.")
        like, nan = torch.stack([look_like_probabilities(rows), rows.scores.isnan().any()]).tolist()
        self._nan |= nan
        self._like_probabilities &= like
        if self.outputs == "logits":
            return probabilities(rows)
        if not like and not nan:
            sums = " that add up to 1 over the classes" if rows.task == "multiclass" else ""
            raise DataError(
                f'{self.name} has outputs="probabilities", and the model returned values from '
                f"{rows.scores.min():.3g} to {rows.scores.max():.3g}; expected values between 0 "
                f'and 1{sums}. If they are logits, pass outputs="logits".'
            )
        return rows.scores.double()

    def _check_logits(self) -> None:
        if self.outputs != "logits" or not self._like_probabilities or self._rows < _ENOUGH_ROWS:
            return
        if self._seen == "multiclass":
            raise DataError(
                f"{self.name} expects logits, and all outputs of the model are probabilities: they "
                'add up to 1 over the classes. Pass outputs="probabilities".'
            )
        warn_user(
            f"{self.name} expects logits, and all outputs of the model are between 0 and 1. If "
            'they are probabilities, pass outputs="probabilities".'
        )

    def _check(self, option: str, value: object, allowed: tuple[object, ...]) -> None:
        check_choice(option, value, allowed, owner=self.name)
