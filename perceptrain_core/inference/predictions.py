"""Predictions with the names and units of the labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from perceptrain_core.data.tables.encode import ClassName
from perceptrain_core.errors import ShapeError
from perceptrain_core.losses.support.outputs import OutputActivation
from perceptrain_core.plurals import counted

_SHOWN = 5


@dataclass(frozen=True)
class Target:
    """What a model predicts.

    Attributes:
        names: The names of the labels; by default they have none.
        classes: The classes in the order of their numbers, text or numbers as in the data; ``None``
            if the labels are no classes.
        activation: What turns outputs into probabilities, if anything does.
    """

    names: tuple[str, ...] = ()
    classes: tuple[ClassName, ...] | None = None
    activation: OutputActivation | None = None

    def with_classes(self, outputs: Tensor) -> Target:
        """Return the target with a name for each output: a class without one has its number.

        Raises:
            ShapeError: There are fewer outputs than classes.
        """
        classes = self.classes or ()
        number = outputs.shape[1] if outputs.ndim > 1 else 0
        if number < max(1, len(classes)):
            raise ShapeError(
                f"The outputs have shape {tuple(outputs.shape)}, and there are {len(classes)} "
                "classes: expected an output for each, shape (N, C, ...)."
            )
        others: Iterable[ClassName] = range(len(classes), number)
        if any(isinstance(name, str) for name in classes):
            others = map(str, others)
        return replace(self, classes=(*classes, *others))


@dataclass(frozen=True)
class Predictions:
    """The predictions for rows of data.

    Attributes:
        values: The predicted values, a tensor of shape ``(N, ...)``: in the units of the labels, or
            the positions of the classes in ``classes``, int64.
        probabilities: The probability of each class, a tensor of shape ``(N, C, ...)``; ``None`` if
            the values are not classes, or the loss knows no probabilities. To compute with NumPy,
            call ``.numpy()``: it warns if it meets a tensor in its own operations.
        target: What was predicted.
    """

    values: Tensor
    probabilities: Tensor | None
    target: Target

    @classmethod
    def of(cls, outputs: Tensor, target: Target) -> Predictions:
        """Read predictions from the outputs of a `Pipeline`.

        Raises:
            ShapeError: There are fewer outputs than classes.
        """
        if target.classes is None:
            return cls(outputs, None, target)
        if len(target.classes) == 2 and (outputs.ndim == 1 or outputs.shape[1] == 1):
            return cls._of_two(outputs if outputs.ndim == 1 else outputs[:, 0], target)
        target = target.with_classes(outputs)
        probabilities = outputs if target.activation is not None else None
        return cls(outputs.argmax(1), probabilities, target)

    @classmethod
    def _of_two(cls, scores: Tensor, target: Target) -> Predictions:
        if target.activation is None:
            return cls((scores > 0).long(), None, target)
        return cls((scores > 0.5).long(), torch.stack([1 - scores, scores], 1), target)

    @classmethod
    def joined(cls, parts: Sequence[Predictions]) -> Predictions:
        """Join the predictions of successive rows.

        Raises:
            ShapeError: They differ in shape, as those of images of several sizes.
        """
        shapes = {tuple(part.values.shape[1:]): None for part in parts}
        if len(shapes) > 1:
            raise ShapeError(
                f"The predictions have the shapes {', '.join(map(str, shapes))} and cannot be one "
                "tensor: use predict_in_batches."
            )
        chances = [part.probabilities for part in parts if part.probabilities is not None]
        values = torch.cat([part.values for part in parts])
        return cls(values, torch.cat(chances) if chances else None, parts[0].target)

    @property
    def classes(self) -> tuple[ClassName, ...] | None:
        """The classes in the order of their numbers, text or numbers as in the data, if any."""
        return self.target.classes

    @property
    def labels(self) -> NDArray[Any]:
        """The predicted values as an array; classes as in the data, by name or by number."""
        values: NDArray[Any] = self.values.numpy()
        if self.classes is None:
            return values
        text = any(isinstance(name, str) for name in self.classes)
        classes: NDArray[Any] = np.array(self.classes, dtype=object if text else None)
        return np.asarray(classes[values])

    def columns(self, beside_labels: bool = False) -> dict[str, NDArray[Any]]:
        """Return the predictions as columns of a table.

        They are the labels by name, and for classes ``probability[CLASS]`` for each. Values of more
        than one dimension become ``name[0]``, ``name[1]`` and so on.

        Args:
            beside_labels: Name the predicted labels ``prediction[LABEL]``, for a table that has the
                true labels by their names.
        """
        labels = self.labels.reshape(len(self), -1)
        names = self._names(labels.shape[1])
        if beside_labels:
            names = [f"prediction[{name}]" for name in names]
        columns = dict(zip(names, labels.T, strict=True))
        if self.probabilities is not None and self.probabilities.ndim == 2:
            named = zip(self.classes or (), self.probabilities.numpy().T, strict=True)
            columns |= {f"probability[{name}]": column for name, column in named}
        return columns

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        more = ", ..." if len(self) > _SHOWN else ""
        shown = ", ".join(map(str, self.labels[:_SHOWN].tolist()))
        return f"Predictions for {counted(len(self), 'row')}: {shown}{more}"

    def _names(self, number: int) -> list[str]:
        names = self.target.names
        if len(names) == number:
            return list(names)
        name = names[0] if len(names) == 1 else "prediction"
        return [name] if number == 1 else [f"{name}[{i}]" for i in range(number)]
