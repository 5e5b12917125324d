"""From what a model returns and the labels to rows of probabilities and classes, checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from perceptrain_core.errors import DataError, ShapeError
from perceptrain_core.tensors import describe

#: One score decides between two classes; one score per class; one decision for each label.
Task: TypeAlias = Literal["binary", "multiclass", "multilabel"]
TASKS = ("binary", "multiclass", "multilabel")

_SHAPES = {
    "binary": "one score per row, (N,) or (N, 1), or one for each of the two classes, (N, 2), with "
    "labels 0 and 1 of shape (N,)",
    "multiclass": "a score per class, (N, C), with class indices of shape (N,)",
    "multilabel": "a score per label, (N, C), with labels 0 and 1 of the same shape",
}


class Rows(NamedTuple):
    """The rows of a batch, in the form that torchmetrics expects.

    Attributes:
        task: What is classified.
        scores: As the model returned them, ``(M,)``, or ``(M, C)`` unless the task is binary.
        labels: int64, ``(M,)``, or ``(M, C)`` if the task is multilabel.
    """

    task: Task
    scores: Tensor
    labels: Tensor

    @property
    def classes(self) -> int:
        """The number of classes or labels; 2 if the task is binary."""
        return 2 if self.task == "binary" else self.scores.shape[1]


def rows_of(
    outputs: Any, labels: Any, task: Task | None, ignored: int | None, logits: bool
) -> Rows:
    """Return the rows of a batch; dimensions after the classes, such as pixels, are rows too.

    Args:
        outputs: ``(N,)``, ``(N, C)`` or ``(N, C, d1, ...)``.
        labels: ``(N,)`` or ``(N, d1, ...)``, or of the shape of the outputs.
        task: What is classified; by default the shapes decide: one score per row is binary, labels
            of the shape of the outputs are multilabel, anything else is multiclass.
        ignored: A label that marks elements to leave out.
        logits: Whether the outputs are logits; if not, they are probabilities.

    Raises:
        ShapeError: The shapes do not fit the task.
        DataError: The outputs or labels are not tensors, or a label is not a class.
    """
    for name, tensor in {"model's output": outputs, "label": labels}.items():
        if not isinstance(tensor, Tensor) or tensor.ndim == 0:
            raise DataError(f"The {name} is {describe(tensor)}; expected a tensor with a row each.")
    task = task or _task_of(outputs, labels)
    if task == "binary" and _has_two_scores(outputs, labels):
        outputs = outputs[:, 1] - outputs[:, 0] if logits else outputs[:, 1]
    rows = Rows(task, *_FORMS[task](outputs, labels))
    _check_labels(rows, ignored)
    return rows._replace(labels=rows.labels.long())


def probabilities(rows: Rows) -> Tensor:
    """Return the probabilities of scores that are logits, in float64, so that few become equal."""
    scores = rows.scores.double()
    return scores.softmax(dim=1) if rows.task == "multiclass" else scores.sigmoid()


def look_like_probabilities(rows: Rows) -> Tensor:
    """Whether scores are between 0 and 1, and add up to 1 over classes; a 0-dim bool tensor."""
    scores = rows.scores
    inside = ((scores >= 0) & (scores <= 1)).all()
    if rows.task != "multiclass":
        return inside
    # As exact as a sum of scores of this dtype can be expected to be.
    tolerance = 1e-5 if torch.finfo(scores.dtype).eps < 1e-5 else 2e-2
    return inside & ((scores.double().sum(dim=1) - 1).abs() < tolerance).all()


def _task_of(outputs: Tensor, labels: Tensor) -> Task:
    if outputs.ndim == 1 or outputs.shape[1] == 1:
        return "binary"
    return "multilabel" if outputs.shape == labels.shape else "multiclass"


def _binary(outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    one_score = labels.shape in _shapes_without_classes(outputs)
    if not one_score and not outputs.shape == labels.shape:
        raise _misfit("binary", outputs, labels)
    return outputs.reshape(-1), labels.reshape(-1)


def _multiclass(outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    if outputs.ndim < 2 or outputs.shape[1] < 2:
        raise _misfit("multiclass", outputs, labels)
    if labels.shape == outputs.shape:  # one-hot labels, or probabilities of the classes
        labels = labels.argmax(dim=1)
    if labels.shape != outputs.shape[:1] + outputs.shape[2:]:
        raise _misfit("multiclass", outputs, labels)
    return _classes_last(outputs), labels.reshape(-1)


def _multilabel(outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    if outputs.ndim < 2 or labels.shape != outputs.shape:
        raise _misfit("multilabel", outputs, labels)
    return _classes_last(outputs), _classes_last(labels)


_FORMS = {"binary": _binary, "multiclass": _multiclass, "multilabel": _multilabel}


def _shapes_without_classes(outputs: Tensor) -> Iterator[torch.Size]:
    """Yield the shapes of labels for outputs with one score, with or without its dimension."""
    yield outputs.shape
    if outputs.ndim == 1:
        yield torch.Size((*outputs.shape, 1))
    elif outputs.shape[1] == 1:
        yield outputs.shape[:1] + outputs.shape[2:]


def _has_two_scores(outputs: Tensor, labels: Tensor) -> bool:
    without = outputs.shape[:1] + outputs.shape[2:]
    return outputs.ndim > 1 and outputs.shape[1] == 2 and labels.shape == without


def _classes_last(tensor: Tensor) -> Tensor:
    return tensor.movedim(1, -1).reshape(-1, tensor.shape[1])


def _check_labels(rows: Rows, ignored: int | None) -> None:
    labels = rows.labels
    if labels.is_complex() or (labels.is_floating_point() and rows.task == "multiclass"):
        raise DataError(
            f"The labels are {labels.dtype}; expected class indices, integers. Convert them with "
            'labels.long(); for labels of columns that are each 0 or 1, pass task="multilabel".'
        )
    known = (labels >= 0) & (labels < rows.classes)
    if labels.is_floating_point():
        known &= labels == labels.round()
    if ignored is not None:
        known |= labels == ignored
    if not known.all():
        wrong = labels[~known][0].item()
        if wrong != round(wrong):
            raise DataError(
                f"A label is {wrong:g}, and classes are whole numbers from 0. For labels that are "
                "numbers, use metrics of regression, such as rmse, mae or r2."
            )
        last = rows.classes - 1
        raise DataError(
            f"A label is {wrong:g}, and expected are the classes 0 to {last}: the task is "
            f"{rows.task}, {_SHAPES[rows.task]}. Number the classes from 0; to leave a label out, "
            f"pass ignore_index={wrong:g}."
        )


def _misfit(task: Task, outputs: Tensor, labels: Tensor) -> ShapeError:
    return ShapeError(
        f"The model's output has shape {tuple(outputs.shape)} and the labels have shape "
        f"{tuple(labels.shape)}; expected for the task {task}: {_SHAPES[task]}. If the task is "
        f"another, pass task= one of {', '.join(TASKS)}."
    )
