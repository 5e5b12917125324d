"""Checks of the values of outputs, labels and options, on the first batch of each stage.

Torch computes a number for any of them, and trains on nonsense.
"""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

from perceptrain_core.errors import ConfigError, DataError
from perceptrain_core.user_warnings import warn_user
from perceptrain_core.value_checks import check_range, values_are_checked

_TOLERANCE = 1e-2  # of probabilities and their sums, which may be rounded
_TOLERANCE_OF_LOGARITHMS = 0.1  # in half precision, of sums of thousands of rounded ones


def check_binary(outputs: Tensor, labels: Tensor) -> None:
    """Check labels that are probabilities of two classes.

    Raises:
        DataError: A label is not in [0, 1].
    """
    if values_are_checked():
        advice = "Divide a mask of 0 and 255 by 255; replace -1 by 0."
        low, high = -_TOLERANCE, 1 + _TOLERANCE
        check_range("The labels", labels, low, high, "0 and 1, or probabilities", advice)


def check_soft_signs(outputs: Tensor, labels: Tensor) -> None:
    """Check labels that are 1 and -1, or smoothed to numbers between.

    Raises:
        DataError: A label is 0, or beyond them.
    """
    sizes = labels.abs()
    if values_are_checked() and bool(((sizes == 0) | (sizes > 1 + _TOLERANCE)).any()):
        check_signs(outputs, labels)


def check_signs(outputs: Tensor, labels: Tensor) -> None:
    """Check labels that are 1 and -1.

    Raises:
        DataError: A label is another number.
    """
    if values_are_checked() and not bool((labels.abs() == 1).all()):
        smallest, largest = labels.aminmax()
        raise DataError(
            f"The labels go from {smallest.item():g} to {largest.item():g}; expected 1 and -1. "
            "Turn labels 0 and 1 into these with 2 * labels - 1."
        )


def check_counts(outputs: Tensor, labels: Tensor) -> None:
    """Check labels that are counts.

    Raises:
        DataError: A label is negative.
    """
    if values_are_checked():
        advice = "Leave out or correct rows with negative labels; for other labels use mse."
        check_range("The labels", labels, 0, inf, "counts, of at least 0", advice)


def check_log_probabilities(outputs: Tensor, labels: Tensor) -> None:
    """Check outputs that are the logarithms of class probabilities, classes in dimension 1.

    Raises:
        DataError: The probabilities of a row do not add up to 1.
    """
    if not values_are_checked():
        return
    sums = outputs.detach().float().logsumexp(min(1, outputs.ndim - 1))
    exact = torch.finfo(outputs.dtype).bits > 16
    if bool((sums.abs() > (_TOLERANCE if exact else _TOLERANCE_OF_LOGARITHMS)).any()):
        worst = sums.flatten()[sums.abs().argmax()].exp().item()
        raise DataError(
            f"The model's outputs are no log-probabilities: those of one row add up to {worst:.3g} "
            "instead of 1. End the model in nn.LogSoftmax(1), or use cross_entropy, which takes "
            "logits."
        )


def check_divergence(outputs: Tensor, labels: Tensor, log_target: bool = False) -> None:
    """Check outputs that are log-probabilities, and labels that are probabilities.

    Raises:
        DataError: An output is above 0, or a label is negative, or its logarithm is above 0.
    """
    if not values_are_checked():
        return
    advice = "End the model in nn.LogSoftmax(-1)."
    check_range(
        "The model's outputs", outputs, -inf, _TOLERANCE, "log-probabilities, at most 0", advice
    )
    if log_target:
        advice = "Leave log_target out if they are probabilities."
        check_range("The labels", labels, -inf, _TOLERANCE, "log-probabilities, at most 0", advice)
    else:
        advice = "Use log_target=True if they are logarithms."
        check_range("The labels", labels, -_TOLERANCE, inf, "probabilities", advice)


def check_classes(outputs: Tensor, labels: Tensor) -> None:
    """Check labels that are class probabilities, and warn of outputs that are.

    Raises:
        DataError: Labels that are floats are no probabilities.

    Warns:
        UserWarning: The outputs are probabilities already, which the loss takes for logits.
    """
    if not values_are_checked():
        return
    dim = min(1, outputs.ndim - 1)
    if labels.is_floating_point() and not _are_probabilities(labels, dim, or_none=True):
        smallest, largest = labels.aminmax()
        raise DataError(
            f"The labels are floats of the shape of the output, {tuple(labels.shape)}, so they "
            f"must be class probabilities, of at least 0 with the sum 1; they go from "
            f"{smallest.item():g} to {largest.item():g}. Pass class indices, int64 of shape (N,), "
            "or use mse for numbers."
        )
    if outputs.shape[dim] > 1 and _are_probabilities(outputs.detach(), dim):
        warn_user(
            "The model's outputs add up to 1, as probabilities do; cross_entropy expects logits. "
            "Leave out the model's softmax, or training will be slow.",
        )


def check_weights(**weights: Tensor | None) -> None:
    """Check weights of classes or elements.

    Raises:
        ConfigError: A weight is negative or NaN.
    """
    if not values_are_checked():
        return
    for name, weight in weights.items():
        if weight is not None and not bool((weight >= 0).all()):  # nor NaN
            raise ConfigError(f"{name} has the value {weight.min().item():g}; expected at least 0.")


def check_smoothing(share: float) -> None:
    """Check the share of a label that goes to all classes.

    Raises:
        ConfigError: It is not from 0 to 1.
    """
    if not 0 <= share <= 1:
        raise ConfigError(f"label_smoothing={share}: expected a share from 0 to 1.")


def _are_probabilities(values: Tensor, dim: int, or_none: bool = False) -> bool:
    """Whether values are at least 0 with the sum 1; or 0, as for a row without a label."""
    values = values.float()
    sums = values.sum(dim)
    right = (sums - 1).abs() < _TOLERANCE
    if or_none:
        right |= sums == 0
    return bool((values >= 0).all() & right.all())
