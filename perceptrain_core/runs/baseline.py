"""Whether a trained model predicts better than a constant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from perceptrain_core.data.files.folds import are_classes
from perceptrain_core.data.files.splits import Splits, rows_of_tensors
from perceptrain_core.data.tables.encode import ClassName
from perceptrain_core.inference.outputs import outputs_of
from perceptrain_core.inference.pipeline import Pipeline

#: Losses of regression whose best constant is the mean, or close to it; and those of classes.
_SQUARED = ("mse", "huber", "smooth_l1")
_CLASSES = ("cross_entropy", "nll", "multi_margin", "bce_with_logits")
_ROUNDING = 1e-6
#: Weights of more classes are too many for a message.
_LISTED = 5


@dataclass(frozen=True)
class Settings:
    """What a run file says already, and need not be advised.

    Attributes:
        loss: The name of the loss.
        scaled: Whether the labels are scaled.
        standardized: Whether the inputs are scaled.
        weighted: Whether rows or classes have weights.
    """

    loss: str
    scaled: bool = False
    standardized: bool = False
    weighted: bool = False


def shortfall(
    model: nn.Module,
    splits: Splits,
    settings: Settings,
    classes: Sequence[ClassName] | None = None,
) -> str | None:
    """Return a sentence if a model is worse than the mean, or not better than one class for all.

    A model that answers with one class for all rows has learned nothing of the others, although it
    is right in most rows if this class is frequent: its balanced accuracy is that of chance. With
    weights, a model is right in fewer rows on purpose, so its balanced accuracy is compared.

    Args:
        model: The trained model.
        splits: The data. The rows for test are compared, or else those for validation or training.
        settings: What the run file says; a loss whose best constant is another is not compared.
        classes: The classes, in the order of their numbers; by default their numbers.

    Returns:
        The sentence; ``None`` if the model is better, or cannot be compared.
    """
    part = next(p for p in (splits.test, splits.val, splits.train) if p is not None)
    tensors = rows_of_tensors(part)
    if tensors is None or len(tensors) < 2 or settings.loss not in (*_SQUARED, *_CLASSES):
        return None
    outputs, labels = outputs_of(Pipeline(model), tensors[0]), tensors[1].cpu()
    if outputs is None:
        return None
    if settings.loss in _CLASSES:
        return _worse_than_class(outputs, labels, settings, classes)
    return _worse_than_mean(outputs, labels, settings)


def _worse_than_mean(outputs: Tensor, labels: Tensor, settings: Settings) -> str | None:
    if outputs.shape != labels.shape or not labels.is_floating_point():
        return None
    outputs, labels = outputs.double(), labels.double()
    error, spread = (outputs - labels).square().sum(), (labels - labels.mean(0)).square().sum()
    if not spread or error <= spread * (1 + _ROUNDING):
        return None
    advice = "" if settings.scaled else "set scale_labels = true in [data], "
    return (
        f"The model predicts worse than the mean of the labels (R2 = {1 - error / spread:.3g}): "
        f"{advice}change lr in [optimizer], or train for more epochs."
    )


def _worse_than_class(
    outputs: Tensor, labels: Tensor, settings: Settings, classes: Sequence[ClassName] | None
) -> str | None:
    if are_classes(labels) and outputs.ndim == 2:
        found = outputs.argmax(1)
    elif outputs.shape == labels.shape and labels.shape[1:] == (1,):
        found, labels = (outputs[:, 0] > 0).long(), labels[:, 0].long()
    else:
        return None
    known = labels >= 0  # others are ignored
    found, labels = found[known], labels[known]
    if not len(labels):
        return None
    number = max(2, outputs.shape[1])
    counts = torch.bincount(labels, minlength=number)
    right, most = int((found == labels).sum()), int(counts.max())
    several = int((counts > 0).sum()) > 1
    if several and bool((found == found[0]).all()) and (right == most or settings.weighted):
        name = classes[int(found[0])] if classes and found[0] < len(classes) else int(found[0])
        advice = "Change" if settings.weighted else f"{_weight_advice(counts, settings)}, change"
        return (
            f"The model answers {name!r} for all {len(labels)} rows, which is right in "
            f"{right / len(labels):.1%} of them: it has learned nothing of the other classes. "
            f"{advice} lr in [optimizer], or train for more epochs."
        )
    if right >= most or (settings.weighted and several and _beats_chance(found, labels, counts)):
        return None
    scale = "" if settings.standardized else "scale the inputs with standardize = true in [data], "
    return (
        f"The model is right in {right / len(labels):.1%} of the rows, and the most frequent class "
        f"alone would be in {most / len(labels):.1%}: {scale}change lr in [optimizer], or train "
        "for more epochs."
    )


def _beats_chance(found: Tensor, labels: Tensor, counts: Tensor) -> bool:
    """Whether the mean recall of the classes is above that of one answer for all rows."""
    hits = torch.bincount(labels[found == labels], minlength=len(counts))
    there = counts > 0
    return float((hits[there] / counts[there]).mean()) > 1 / int(there.sum())


def _weight_advice(counts: Tensor, settings: Settings) -> str:
    """Return how to give rare classes a larger weight: as if all were as frequent."""
    if settings.loss == "bce_with_logits":
        ratio = float(counts[0] / counts[1])
        change = "a larger" if ratio > 1 else "a smaller"
        return (
            f"Give the second class {change} weight in [loss], such as pos_weight = [{ratio:.2g}]"
        )
    weights = ", ".join(f"{float(counts.max() / count):.2g}" for count in counts.clamp(min=1))
    if len(counts) > _LISTED:
        return "Give rare classes a larger weight in [loss], with weight, a number for each class"
    return f"Give rare classes a larger weight in [loss], such as weight = [{weights}]"
