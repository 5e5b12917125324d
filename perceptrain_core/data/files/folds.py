"""Folds for cross-validation: each row is validated once."""

from __future__ import annotations

import torch
from torch import Tensor

from perceptrain_core.data.files.row_choice import Traits, rows_of_fold
from perceptrain_core.data.files.splits import Splits, rows_of_tensors
from perceptrain_core.errors import DataError
from perceptrain_core.plurals import counted
from perceptrain_core.user_warnings import warn_user


def fold_rows(
    splits: Splits, folds: int, fold: int, seed: int, groups: Tensor | None = None
) -> Splits:
    """Set the rows of one fold aside for validation.

    The rows are divided at random into folds of equal size, up to one row. If the labels are
    classes, integers of shape ``(N,)``, each class is divided like this (stratified folds).

    Args:
        splits: Tensors as training data and no validation data. Test data are kept as they are.
        folds: The number of folds, at least 2.
        fold: The fold to validate on, counted from 1; all others are for training.
        seed: The same seed divides the rows in the same way.
        groups: The group of each row, integers of shape ``(N,)``: a fold has all rows of a group,
            or none, and classes are not considered.

    Raises:
        DataError: The training data are not tensors, have validation data already, or have fewer
            rows than folds; or ``fold`` is not one of the folds.

    Warns:
        UserWarning: A class has fewer rows than there are folds.
    """
    tensors = rows_of_tensors(splits.train)
    if tensors is None or splits.val is not None:
        raise DataError(
            "Folds are made of tensors of rows; these data come as loaders or points, or have "
            "validation data already. Leave folds out."
        )
    classes = tensors[1] if len(tensors) > 1 and are_classes(tensors[1]) else None
    validated = fold_indices(len(tensors[0]), folds, fold, seed, Traits(classes, groups))
    train, val = (tuple(t[part.to(t.device)] for t in tensors) for part in (~validated, validated))
    return Splits(train, val, splits.test)


def fold_indices(rows: int, folds: int, fold: int, seed: int, traits: Traits) -> Tensor:
    """Return the rows that a fold validates, as a mask of shape ``(rows,)``; see `fold_rows`.

    Raises:
        DataError: There are fewer rows than folds, or ``fold`` is not one of the folds.

    Warns:
        UserWarning: A class has fewer rows than there are folds.
    """
    if not 2 <= folds <= rows or not 1 <= fold <= folds:
        raise DataError(
            f"{rows} rows cannot have fold {fold} of {folds}: expected 2 to {rows} folds, and a "
            "fold from 1 to that number."
        )
    if traits.classes is not None and traits.groups is None:
        _warn_of_rare_classes(traits.classes.cpu(), folds)
    return rows_of_fold(rows, folds, fold, seed, traits)


def are_classes(labels: Tensor) -> bool:
    """Whether labels are classes: integers of shape ``(N,)``."""
    return labels.ndim == 1 and not labels.is_floating_point() and not labels.is_complex()


def are_class_maps(inputs: Tensor, labels: Tensor) -> bool:
    """Whether labels are a class for each pixel: integers of shape ``(N, H, W)``.

    The inputs have shape ``(N, C, H, W)``. There may be other numbers of dimensions, and the labels
    may have one channel.
    """
    if labels.ndim < 3 or labels.is_floating_point() or labels.is_complex():
        return False
    shape = labels.shape[1:]
    return inputs.ndim > 3 and inputs.shape[2:] in (shape, shape[1:] if shape[0] == 1 else shape)


def _warn_of_rare_classes(labels: Tensor, folds: int) -> None:
    classes, counts = torch.unique(labels, return_counts=True)
    if counts.min() < folds:
        rare = classes[counts.argmin()].item()
        warn_user(
            f"Class {rare} has {counted(int(counts.min()), 'row')}, fewer than the {folds} folds, "
            "so some folds validate without it. Use fewer folds."
        )
