"""Whether a trained model predicts better than a constant."""

from __future__ import annotations

from collections.abc import Sequence

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


def shortfall(
    model: nn.Module,
    splits: Splits,
    loss: str,
    scaled: bool,
    classes: Sequence[ClassName] | None = None,
) -> str | None:
    """Return a sentence if a model is worse than the mean, or not better than one class for all.

    A model that answers with one class for all rows has learned nothing of the others, although it
    is right in most rows if this class is frequent: its balanced accuracy is that of chance.

    Args:
        model: The trained model.
        splits: The data. The rows for test are compared, or else those for validation or training.
        loss: The name of the loss; a loss whose best constant is another is not compared.
        scaled: Whether the labels are scaled.
        classes: The classes, in the order of their numbers; by default their numbers.

    Returns:
        The sentence; ``None`` if the model is better, or cannot be compared.
    """
    part = next(p for p in (splits.test, splits.val, splits.train) if p is not None)
    tensors = rows_of_tensors(part)
    if tensors is None or len(tensors) < 2 or loss not in (*_SQUARED, *_CLASSES):
        return None
    outputs, labels = outputs_of(Pipeline(model), tensors[0]), tensors[1].cpu()
    if outputs is None:
        return None
    if loss in _CLASSES:
        return _worse_than_class(outputs, labels, classes)
    return _worse_than_mean(outputs, labels, scaled)


def _worse_than_mean(outputs: Tensor, labels: Tensor, scaled: bool) -> str | None:
    if outputs.shape != labels.shape or not labels.is_floating_point():
        return None
    outputs, labels = outputs.double(), labels.double()
    error, spread = (outputs - labels).square().sum(), (labels - labels.mean(0)).square().sum()
    if not spread or error <= spread * (1 + _ROUNDING):
        return None
    advice = "" if scaled else "set scale_labels = true in [data], "
    return (
        f"The model predicts worse than the mean of the labels (R2 = {1 - error / spread:.3g}): "
        f"{advice}change lr in [optimizer], or train for more epochs."
    )


def _worse_than_class(
    outputs: Tensor, labels: Tensor, classes: Sequence[ClassName] | None
) -> str | None:
    if are_classes(labels) and outputs.ndim == 2:
        found = outputs.argmax(1)
    elif outputs.shape == labels.shape and labels.shape[1:] == (1,):
        found, labels = (outputs[:, 0] > 0).long(), labels[:, 0].long()
    else:
        return None
    _, counts = torch.unique(labels, return_counts=True)
    right, most = int((found == labels).sum()), int(counts.max())
    if len(counts) > 1 and right == most and bool((found == found[0]).all()):
        number = int(found[0])
        name = classes[number] if classes and number < len(classes) else number
        return (
            f"The model answers {name!r} for all {len(labels)} rows, which is right in "
            f"{right / len(labels):.1%} of them: it has learned nothing of the other classes. Give "
            "rare classes a larger weight in [loss], such as weight = [1, 10], change lr in "
            "[optimizer], or train for more epochs."
        )
    if right >= most:
        return None
    return (
        f"The model is right in {right / len(labels):.1%} of the rows, and the most frequent class "
        f"alone would be in {most / len(labels):.1%}: scale the inputs with standardize = true in "
        "[data], change lr in [optimizer], or train for more epochs."
    )
