"""Training, validation and test data, from what a data set function returned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from perceptrain_core.data.files.row_choice import Traits, choose_rows
from perceptrain_core.data.support.rows import as_rows
from perceptrain_core.data.tables.tensor_preparation import TensorPreparation
from perceptrain_core.data.validation_sets import ValidationSets
from perceptrain_core.errors import DataError
from perceptrain_core.plurals import counted

NO_TRAITS = Traits()


@dataclass(frozen=True)
class Splits:
    """Data for training, validation and test: tensors, tuples or dicts of them, or loaders.

    The validation data may be `ValidationSets`.
    """

    train: Any
    val: Any = None
    test: Any = None

    def describe(self) -> str:
        """Describe the number of rows of each split."""
        parts = {"train": self.train, "val": self.val, "test": self.test}
        return ", ".join(
            f"{role} {_amount(part)}" for role, part in parts.items() if part is not None
        )


def as_splits(data: Any) -> Splits:
    """Return the splits for the result of a data set function.

    Args:
        data: ``Splits``, which are returned unchanged; a tensor or array of rows, a tuple or list
            of them, a dict of points, or a loader, all for training; or a tuple or list of two or
            three loaders, for training, validation (which may be `ValidationSets`) and test.

    Raises:
        DataError: The data are none of these.
    """
    if isinstance(data, Splits):
        return data
    if isinstance(data, np.ndarray):
        return Splits(as_rows(data))
    parts = tuple(data) if isinstance(data, tuple | list) else (data,)
    parts = tuple(as_rows(part) if isinstance(part, np.ndarray) else part for part in parts)
    if isinstance(data, tuple | list) and _are_tensors(parts):
        return Splits(parts)
    present = [part for part in parts[1:] if part is not None]
    if 1 <= len(parts) <= 3 and all(_gives_batches(part) for part in (parts[0], *present)):
        return Splits(*parts)
    given = " of ".join(dict.fromkeys([type(data).__name__, *(type(p).__name__ for p in parts)]))
    raise DataError(
        f"A data set returned {given}; expected a tuple of tensors (inputs, labels), a dict of "
        "points, a loader, or (train, val, test) loaders."
    )


def split_rows(
    splits: Splits, val_fraction: float, test_fraction: float, seed: int, traits: Traits = NO_TRAITS
) -> Splits:
    """Set rows aside for validation and test, at random.

    Args:
        splits: Tensors as training data; no validation or test data.
        val_fraction: The share of the rows for validation.
        test_fraction: The share of the rows for test.
        seed: The same seed chooses the same rows.
        traits: The classes or groups, if the choice takes them into account.

    Raises:
        DataError: The training data are not tensors, are already split, or are too few.
    """
    if not val_fraction and not test_fraction:
        return splits
    tensors = rows_of_tensors(splits.train)
    if tensors is None or splits.val is not None or splits.test is not None:
        raise DataError(
            "val_fraction and test_fraction split tensors of rows; these data come as loaders or "
            "points, or are split already. Leave the fractions out."
        )
    parts = split_indices(len(tensors[0]), val_fraction, test_fraction, seed, traits)
    train, val, test = (tuple(t[part] for t in tensors) for part in parts)
    return Splits(train, val if val_fraction else None, test if test_fraction else None)


def split_indices(
    rows: int, val_fraction: float, test_fraction: float, seed: int, traits: Traits = NO_TRAITS
) -> list[Tensor]:
    """Choose the rows for training, validation and test; see `split_rows`.

    Raises:
        DataError: The rows are too few.
    """
    val, test = round(rows * val_fraction), round(rows * test_fraction)
    if val + test >= rows or (val_fraction and not val) or (test_fraction and not test):
        raise DataError(
            f"{rows} rows cannot be split with val_fraction={val_fraction} and "
            f"test_fraction={test_fraction}: each part needs at least one row."
        )
    return choose_rows(rows, (val, test), seed, traits)


def standardize(splits: Splits) -> Splits:
    """Scale inputs to mean 0 and standard deviation 1 over the training rows; constants to 0.

    Raises:
        DataError: The data are not tensors of rows, or the inputs are not floats.
    """
    return scale(splits, scaling(splits))


def scaling(splits: Splits, inputs: bool = True, labels: bool = False) -> TensorPreparation:
    """Return the mean and the standard deviation over the training rows; 0 and 1 without scaling.

    Args:
        splits: Tensors of rows.
        inputs: Whether to scale inputs.
        labels: Whether to scale labels, floats of shape ``(N,)`` or ``(N, labels)``.

    Raises:
        DataError: The data are not tensors of rows, or what to scale is not of floats.
    """
    parts = [part for part in (splits.train, splits.val, splits.test) if part is not None]
    rows = [rows_of_tensors(part) or () for part in parts]
    if inputs and not all(tensors and tensors[0].is_floating_point() for tensors in rows):
        raise DataError(
            "standardize needs tensors of rows, with floats as inputs; these data come as loaders, "
            "points or whole numbers. Leave it out."
        )
    if labels and not all(len(t) > 1 and t[1].is_floating_point() and t[1].ndim < 3 for t in rows):
        raise DataError(
            "scale_labels needs tensors of rows, with floats as labels, of shape (N,) or (N, "
            "labels). Leave it out."
        )
    x = rows[0][0]
    identity = torch.zeros(x.shape[1:]), torch.ones(x.shape[1:])
    found = TensorPreparation.of(*(_mean_and_scale(x) if inputs else identity))
    if not labels:
        return found
    mean, deviation = _mean_and_scale(rows[0][1].reshape(len(x), -1))
    return replace(found, label_mean=tuple(mean.tolist()), label_scale=tuple(deviation.tolist()))


def _mean_and_scale(values: Tensor) -> tuple[Tensor, Tensor]:
    # In float64, where the mean of equal float32 is exact and a constant has no deviation.
    deviation, mean = torch.std_mean(values.double(), dim=0, correction=0)
    return mean, torch.where(deviation > 0, deviation, torch.ones_like(deviation))


def scale(splits: Splits, preparation: TensorPreparation) -> Splits:
    """Scale the inputs and labels of all splits as a preparation says."""
    inputs, labels = preparation.input_module(), preparation.label_module()

    def scaled(data: Any) -> Any:
        if data is None:
            return None
        x, *others = rows_of_tensors(data) or ()
        y = [labels.to(y.device)(y) for y in others[:1]]
        return inputs.to(x.device)(x), *y, *others[1:]

    return Splits(*(scaled(part) for part in (splits.train, splits.val, splits.test)))


def rows_of_tensors(data: Any) -> tuple[Tensor, ...] | None:
    """Return the data as a tuple of tensors, or ``None`` if they are something else.

    Raises:
        DataError: The tensors differ in length.
    """
    tensors = (data,) if isinstance(data, Tensor) else data
    if not _are_tensors(tensors):
        return None
    if len({len(tensor) for tensor in tensors}) > 1:
        raise DataError(f"The tensors differ in length: {', '.join(str(len(t)) for t in tensors)}.")
    return tensors


def _are_tensors(data: Any) -> bool:
    return isinstance(data, tuple) and bool(data) and all(isinstance(t, Tensor) for t in data)


def _gives_batches(data: Any) -> bool:
    if isinstance(data, str | bytes):
        return False
    return hasattr(data, "__iter__") or isinstance(data, Dataset | ValidationSets)


def _amount(data: Any) -> str:
    if isinstance(data, Tensor):
        return counted(len(data), "row")
    if _are_tensors(data):
        return counted(len(data[0]), "row")
    if isinstance(data, ValidationSets):
        return _amount(data.sets)
    if isinstance(data, Mapping):
        return " and ".join(f"{_amount(part)} ({name})" for name, part in data.items())
    return counted(len(data), "batch", "batches") if hasattr(data, "__len__") else "a loader"
