"""Metrics of classification, computed by torchmetrics over the whole data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor

from perceptrain_core.metrics.support.averaged import Average, DecidedMetric, RankedMetric
from perceptrain_core.metrics.support.class_scores import Task
from perceptrain_core.metrics.support.classification_metric import ClassificationMetric, Outputs
from perceptrain_core.metrics.support.matrix_picture import draw_matrices
from perceptrain_core.option_checks import number_faults, refuse

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Accuracy(DecidedMetric):
    """Share of rows that are classified correctly; of labels, if the task is multilabel.

    Args:
        average: ``"micro"``, the default, counts all rows alike, ``"macro"`` all classes,
            ``"weighted"`` weights classes by their rows, ``"none"`` returns each class.
        threshold: The probability above which a binary or multilabel score counts as 1.
        task: ``"binary"``, ``"multiclass"`` or ``"multilabel"``; by default, the shapes of the
            first batch decide.
        outputs: ``"logits"`` or ``"probabilities"``: what the model returns.
        ignore_index: A label that marks elements to leave out.
        top_k: A row of several classes is correct if its class is among this many highest scores.

    Raises:
        ConfigError: An option is invalid.
        MissingDependencyError: torchmetrics is not installed.
    """

    _kind = "Accuracy"
    _usual = "micro"

    def __init__(
        self,
        average: Average | None = None,
        threshold: float = 0.5,
        task: Task | None = None,
        outputs: Outputs = "logits",
        ignore_index: int | None = None,
        top_k: int = 1,
    ) -> None:
        super().__init__(average, threshold, task, outputs, ignore_index)
        refuse(self.name, number_faults({"top_k": top_k}, whole=True, at_least=1))
        self.top_k = top_k

    def _options(self, task: Task) -> dict[str, Any]:
        top_k = {"top_k": self.top_k} if self._seen == "multiclass" else {}
        return {**super()._options(task), **top_k}


class Precision(DecidedMetric):
    """Share of the rows classified as a class that belong to it.

    Args:
        average: ``"macro"`` is the mean over the classes, ``"weighted"`` weights them by their
            rows, ``"micro"`` counts all rows alike, ``"none"`` returns each class. The default is
            ``"macro"``; for binary tasks, the value of class 1.
        threshold: The probability above which a binary or multilabel score counts as 1.
        task: ``"binary"``, ``"multiclass"`` or ``"multilabel"``; by default, the shapes of the
            first batch decide.
        outputs: ``"logits"`` or ``"probabilities"``: what the model returns.
        ignore_index: A label that marks elements to leave out.

    Raises:
        ConfigError: An option is invalid.
        MissingDependencyError: torchmetrics is not installed.
    """

    _kind = "Precision"


class Recall(DecidedMetric):
    """Share of the rows of a class that are classified as it.

    Args:
        average: ``"macro"`` is the mean over the classes, ``"weighted"`` weights them by their
            rows, ``"micro"`` counts all rows alike, ``"none"`` returns each class. The default is
            ``"macro"``; for binary tasks, the value of class 1.
        threshold: The probability above which a binary or multilabel score counts as 1.
        task: ``"binary"``, ``"multiclass"`` or ``"multilabel"``; by default, the shapes of the
            first batch decide.
        outputs: ``"logits"`` or ``"probabilities"``: what the model returns.
        ignore_index: A label that marks elements to leave out.

    Raises:
        ConfigError: An option is invalid.
        MissingDependencyError: torchmetrics is not installed.
    """

    _kind = "Recall"


class F1(DecidedMetric):
    """Harmonic mean of precision and recall of a class.

    Args:
        average: ``"macro"`` is the mean over the classes, ``"weighted"`` weights them by their
            rows, ``"micro"`` counts all rows alike, ``"none"`` returns each class. The default is
            ``"macro"``; for binary tasks, the value of class 1.
        threshold: The probability above which a binary or multilabel score counts as 1.
        task: ``"binary"``, ``"multiclass"`` or ``"multilabel"``; by default, the shapes of the
            first batch decide.
        outputs: ``"logits"`` or ``"probabilities"``: what the model returns.
        ignore_index: A label that marks elements to leave out.

    Raises:
        ConfigError: An option is invalid.
        MissingDependencyError: torchmetrics is not installed.
    """

    _kind = "F1Score"


class AUROC(RankedMetric):
    """Area under the ROC curve, exact: all scores of the data set are kept in memory.

    A class without rows, or with all, has no curve: its value is NaN, and means leave it out.

    Args:
        average: ``"macro"`` is the mean over the classes, each against the rest, ``"weighted"``
            weights them by their rows, ``"none"`` returns each class. The default is ``"macro"``;
            for binary tasks, the value of class 1.
        task: ``"binary"``, ``"multiclass"`` or ``"multilabel"``; by default, the shapes of the
            first batch decide.
        outputs: ``"logits"`` or ``"probabilities"``: what the model returns.
        ignore_index: A label that marks elements to leave out.

    Raises:
        ConfigError: An option is invalid.
        MissingDependencyError: torchmetrics is not installed.
    """

    _kind = "AUROC"
    _needs_negatives = True


class AveragePrecision(RankedMetric):
    """Area under the precision-recall curve, by steps: all scores are kept in memory.

    A class without rows has no curve: its value is NaN, and means leave it out.

    Args:
        average: ``"macro"`` is the mean over the classes, each against the rest, ``"weighted"``
            weights them by their rows, ``"none"`` returns each class. The default is ``"macro"``;
            for binary tasks, the value of class 1.
        task: ``"binary"``, ``"multiclass"`` or ``"multilabel"``; by default, the shapes of the
            first batch decide.
        outputs: ``"logits"`` or ``"probabilities"``: what the model returns.
        ignore_index: A label that marks elements to leave out.

    Raises:
        ConfigError: An option is invalid.
        MissingDependencyError: torchmetrics is not installed.
    """

    _kind = "AveragePrecision"
    _needs_negatives = False


class CalibrationError(ClassificationMetric):
    """Expected calibration error: how far confidence and accuracy differ, over bins.

    Args:
        n_bins: The number of bins of equal width.
        norm: ``"l1"`` for the mean difference (ECE), ``"l2"`` for the root of the mean square, or
            ``"max"``.
        task: ``"binary"`` or ``"multiclass"``; by default, the shapes of the first batch decide.
        outputs: ``"logits"`` or ``"probabilities"``: what the model returns.
        ignore_index: A label that marks elements to leave out.

    Raises:
        ConfigError: An option is invalid, or the task is multilabel.
        MissingDependencyError: torchmetrics is not installed.
    """

    higher_is_better = False
    _kind = "CalibrationError"
    _tasks = ("binary", "multiclass")

    def __init__(
        self,
        n_bins: int = 15,
        norm: Literal["l1", "l2", "max"] = "l1",
        task: Task | None = None,
        outputs: Outputs = "logits",
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(task, outputs, ignore_index)
        refuse(self.name, number_faults({"n_bins": n_bins}, whole=True, at_least=1))
        self._check("norm", norm, ("l1", "l2", "max"))
        self.n_bins, self.norm = n_bins, norm

    def _options(self, task: Task) -> dict[str, Any]:
        return {"n_bins": self.n_bins, "norm": self.norm}


class ConfusionMatrix(ClassificationMetric):
    """Counts of rows by true class (rows) and predicted class (columns), drawn by trackers.

    Args:
        normalize: ``"true"``, ``"pred"`` or ``"all"`` divides by the sum over true classes,
            predicted classes or everything; ``"none"`` counts.
        threshold: The probability above which a binary or multilabel score counts as 1.
        task: ``"binary"``, ``"multiclass"`` or ``"multilabel"``; by default, the shapes of the
            first batch decide.
        outputs: ``"logits"`` or ``"probabilities"``: what the model returns.
        ignore_index: A label that marks elements to leave out.

    Raises:
        ConfigError: An option is invalid.
        MissingDependencyError: torchmetrics is not installed.
    """

    higher_is_better = None
    _kind = "ConfusionMatrix"

    def __init__(
        self,
        normalize: Literal["none", "true", "pred", "all"] = "none",
        threshold: float = 0.5,
        task: Task | None = None,
        outputs: Outputs = "logits",
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(task, outputs, ignore_index)
        self._check("normalize", normalize, ("none", "true", "pred", "all"))
        refuse(self.name, number_faults({"threshold": threshold}, at_least=0, at_most=1))
        self.normalize, self.threshold = normalize, threshold

    def _options(self, task: Task) -> dict[str, Any]:
        threshold = {} if task == "multiclass" else {"threshold": self.threshold}
        return {"normalize": self.normalize, **threshold}

    def plot(self, value: Tensor) -> Figure:
        """Draw a matrix that `compute` returned.

        Args:
            value: Of shape ``(C, C)``, or ``(C, 2, 2)`` for a multilabel task.

        Returns:
            A figure, independent of pyplot. Needs matplotlib.
        """
        return draw_matrices(value if value.ndim > 2 else value.unsqueeze(0))
