"""The bases of the metrics that have a value for each class, which is averaged."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from perceptrain_core.metrics.support.class_scores import Rows, Task
from perceptrain_core.metrics.support.classification_metric import ClassificationMetric, Outputs
from perceptrain_core.metrics.support.torchmetrics_package import classification_metric
from perceptrain_core.option_checks import number_faults, refuse

Average = Literal["micro", "macro", "weighted", "none"]
AVERAGES: tuple[Average, ...] = ("micro", "macro", "weighted", "none")


class AveragedMetric(ClassificationMetric):
    """A metric that is computed for each class, and averaged.

    A binary task without ``average`` has the value of class 1. With one, both classes count, as
    for a model that returns a score for each of them.
    """

    _averages: ClassVar[tuple[Average, ...]] = AVERAGES
    #: That of several classes or labels.
    _usual: ClassVar[Average] = "macro"

    def __init__(
        self,
        average: Average | None = None,
        task: Task | None = None,
        outputs: Outputs = "logits",
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(task, outputs, ignore_index)
        self._check("average", average, (None, *self._averages))
        self.average = average

    def _is_of_class_1(self, task: Task | None) -> bool:
        return task == "binary" and self.average is None


class DecidedMetric(AveragedMetric):
    """A metric of decisions: scores above a threshold, or the class with the highest score."""

    def __init__(
        self,
        average: Average | None = None,
        threshold: float = 0.5,
        task: Task | None = None,
        outputs: Outputs = "logits",
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(average, task, outputs, ignore_index)
        refuse(self.name, number_faults({"threshold": threshold}, at_least=0, at_most=1))
        self.threshold = threshold

    def _counted(self, rows: Rows) -> Task:
        # With an average, the decisions between two classes are those of several classes.
        binary = rows.task == "binary" and not self._is_of_class_1(rows.task)
        return "multiclass" if binary else rows.task

    def _options(self, task: Task) -> dict[str, Any]:
        average = {} if self._is_of_class_1(task) else {"average": self.average or self._usual}
        threshold = {} if task == "multiclass" else {"threshold": self.threshold}
        return {**average, **threshold}

    def _scores(self, rows: Rows) -> Tensor:
        scores = super()._scores(rows)
        return scores if self._counted(rows) == rows.task else (scores > self.threshold).long()

    def _value(self) -> Tensor:
        for name in ("tp", "fp", "tn", "fn"):  # torchmetrics divides integers in single precision
            setattr(self._inner, name, getattr(self._inner, name).double())
        return super()._value()


class RankedMetric(AveragedMetric):
    """A metric of the order of all scores, which are kept in memory."""

    _averages: ClassVar[tuple[Average, ...]] = ("macro", "weighted", "none")
    _needs_negatives: ClassVar[bool]

    def _options(self, task: Task) -> dict[str, Any]:
        # Averaged below: torchmetrics counts a class without rows as 0.
        return {} if task == "binary" else {"average": "none"}

    def _value(self) -> Tensor:
        positives, negatives = self._counts()
        defined = positives > 0
        if self._needs_negatives:
            defined = defined & (negatives > 0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of classes that are left out here
            values = torch.where(defined, self._each(), torch.nan)
        if self._is_of_class_1(self._seen) or self.average == "none":
            return values
        weights = positives if self.average == "weighted" else torch.ones_like(positives)
        return (values * weights)[defined].sum() / weights[defined].sum()

    def _each(self) -> Tensor:
        """Return the value of each class, or of class 1."""
        values: Tensor = self._inner.compute().double()
        if self._seen != "binary" or self._is_of_class_1("binary"):
            return values
        return torch.stack([self._of_class_0(), values])

    def _of_class_0(self) -> Tensor:
        # By ranks, since 1 - p would make equal what differs where p is next to 0.
        scores = torch.cat(self._inner.preds)
        distinct, ranks = scores.unique(return_inverse=True)  # type: ignore[no-untyped-call]
        metric = classification_metric("Binary" + self._kind)
        metric.to(ranks.device).update(
            1 - ranks.double() / len(distinct), 1 - torch.cat(self._inner.target)
        )
        value: Tensor = metric.compute().double()
        return value

    def _counts(self) -> tuple[Tensor, Tensor]:
        """Return the number of rows inside and outside of each class, or of class 1."""
        labels = torch.cat(self._inner.target)
        if self._seen != "multiclass":
            inside, outside = (labels == 1).sum(dim=0), (labels == 0).sum(dim=0)
            if self._seen == "multilabel" or self._is_of_class_1("binary"):
                return inside, outside
            return torch.stack([outside, inside]), torch.stack([inside, outside])
        counts = torch.bincount(labels, minlength=self._inner.num_classes)
        return counts, len(labels) - counts
