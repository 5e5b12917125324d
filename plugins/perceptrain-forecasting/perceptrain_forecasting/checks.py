"""Checks that losses, metrics and pictures share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from perceptrain import values_are_checked
from perceptrain.errors import DataError, ShapeError


def precise(values: Tensor) -> Tensor:
    """Return floating values in float32 or better: half precision is too coarse for scores."""
    wide: torch.dtype = torch.promote_types(values.dtype, torch.float32)
    return values.to(wide)


def check_labels(labels: Any, positive: bool = False) -> Tensor:
    """Check labels, and return them in float32 or better.

    Args:
        labels: A tensor of shape ``(N,)`` or ``(N, D)``, at least one row.
        positive: Whether they must be above 0.

    Raises:
        ShapeError: The shape is another one.
        DataError: They are not a tensor of real numbers, are NaN, or are not positive.
    """
    if not isinstance(labels, Tensor) or labels.is_complex():
        raise DataError(f"The labels are {labels!r:.80}; expected a tensor of real numbers.")
    if labels.ndim not in (1, 2) or not labels.numel():
        raise ShapeError(
            f"The labels have shape {tuple(labels.shape)}; expected (N,) or (N, D), with at least "
            "one row."
        )
    found = precise(labels)
    if not values_are_checked(found):
        return found
    missing = int(found.isnan().sum())
    if missing:
        raise DataError(
            f"{missing} of {found.numel()} labels are NaN; expected numbers. Leave out rows "
            'without an observation, in a run file with missing = "drop" in [data].'
        )
    if positive and not bool((found > 0).all()):
        raise DataError(
            f"The labels go down to {found.min().item():g}; this distribution expects numbers "
            'above 0. Choose one for any number, such as "normal", or do not scale the labels.'
        )
    return found


def members_of(outputs: Any, shape: torch.Size, least: int = 2) -> Tensor:
    """Return the members of an ensemble for each label.

    Args:
        outputs: Shape ``(N, M, D)``, or ``(N, M D)``: all columns of the first member, then those
            of the second, and so on.
        shape: The shape of the labels, ``(N,)`` or ``(N, D)``.
        least: The fewest members that are enough.

    Returns:
        The members in float32 or better, shape ``(N, M, D)``.

    Raises:
        ShapeError: The outputs have another shape.
        DataError: There are too few members.
    """
    rows, columns = shape[0], shape[1] if len(shape) > 1 else 1
    fits = isinstance(outputs, Tensor) and outputs.ndim in (2, 3) and len(outputs) == rows
    if fits:
        fits = outputs.shape[-1] == columns if outputs.ndim == 3 else not outputs.shape[1] % columns
    if not fits:
        given = tuple(outputs.shape) if isinstance(outputs, Tensor) else repr(outputs)[:80]
        raise ShapeError(
            f"The model's output is {given}, and the labels have shape {tuple(shape)}; expected "
            f"members of shape ({rows}, M, {columns}) or ({rows}, M * {columns})."
        )
    members = precise(outputs).reshape(rows, -1, columns)
    if members.shape[1] < least:
        raise DataError(
            f"The ensemble has {members.shape[1]} members for {columns} columns; expected at least "
            f"{least}. Let the model return more."
        )
    return members


def quantiles_of(outputs: Any, shape: torch.Size, number: int) -> Tensor:
    """Return a forecast of several quantiles for each label, shape ``(*shape, number)``.

    Args:
        outputs: Shape ``(N, D, number)``; or ``(N, D * number)``, the quantiles of the first
            column, then those of the second, and so on.
        shape: The shape of the labels, ``(N,)`` or ``(N, D)``.
        number: The number of quantiles.

    Raises:
        ShapeError: The shapes do not fit.
    """
    rows, columns = shape[0], shape[1] if len(shape) > 1 else 1
    given = tuple(outputs.shape) if isinstance(outputs, Tensor) else None
    if given not in ((rows, columns, number), (rows, columns * number)):
        raise ShapeError(
            f"The model's output is {given or repr(outputs)[:80]}, and the labels have shape "
            f"{tuple(shape)}; for {number} quantiles expected outputs of shape "
            f"({rows}, {columns}, {number}) or ({rows}, {columns * number})."
        )
    return precise(outputs).reshape(*shape, number)
