"""Elementwise losses: outputs compared with labels, or the residuals of a PINN with zero.

The output of the model decides which, so wrapped and compiled models work too.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.errors import DataError, ShapeError
from perceptrain_core.losses.support.batches import predict
from perceptrain_core.losses.support.options import check_reduction
from perceptrain_core.losses.support.sample_weights import reduced_values
from perceptrain_core.losses.support.shapes import same_shape
from perceptrain_core.tensors import describe
from perceptrain_core.types import Counted, Metrics, TBatch


def pointwise(
    criterion: Callable[..., Tensor],
    batch: TBatch,
    model: nn.Module,
    reduction: str,
    **options: float,
) -> tuple[Tensor, Metrics]:
    """Apply an elementwise criterion.

    Args:
        criterion: ``criterion(outputs, labels, reduction=..., **options)``, such as ``F.mse_loss``.
        batch: ``(inputs, labels)``, ``(inputs, labels, weights)`` with a weight for each row, or a
            dict of points for a PINN.
        model: If it returns a tensor, it is compared with the labels, which must have its shape. If
            it returns a mapping, each value is compared with the labels of the same name, or
            with zero if the batch has no labels.
        reduction: "mean" or "sum".
        **options: Passed on to the criterion.

    Returns:
        The loss and no metrics for a tensor. For a mapping, the sum of its terms, and the terms by
        name. While gradients are on, they keep their graph, so that they can be weighted.

    Raises:
        ShapeError: An output and its labels differ in shape.
        DataError: The batch, the dtypes or the names do not match.
        ConfigError: The reduction does not return a scalar.
    """
    check_reduction(reduction)
    outputs, labels, weights = predict(batch, model)
    mean = reduction == "mean"
    if isinstance(outputs, Tensor):
        outputs, labels = same_shape(outputs, labels)
        if weights is not None:
            values = criterion(outputs, labels, reduction="none", **options)
            return reduced_values(values, weights, reduction)
        loss = criterion(outputs, labels, reduction=reduction, **options)
        return loss, Counted({}, outputs.numel() if mean else None)
    if weights is not None:
        raise DataError(
            f"The model returned {describe(outputs)}; sample weights are for a model that returns "
            "one tensor. Leave them out of the batch, or write your own loss."
        )
    criterion = partial(criterion, reduction=reduction, **options)
    return add_terms(criterion, outputs, labels, mean)


def add_terms(
    criterion: Callable[[Tensor, Tensor], Tensor], outputs: Any, labels: Any, mean: bool = True
) -> tuple[Tensor, Metrics]:
    """Apply a criterion to each output of a mapping, and return the sum.

    Args:
        criterion: ``criterion(output, label)``, a 0-dim tensor.
        outputs: The mapping that the model returned.
        labels: A mapping with the same keys, or None for zeros.
        mean: Whether the criterion is a mean over all elements; otherwise it is a sum.

    Returns:
        The sum of the terms, and the terms by name, with their graph and the number of elements
        of each.

    Raises:
        ShapeError: An output and its labels differ in shape.
        DataError: The dtypes or the names do not match.
    """
    pairs = pairs_of(outputs, labels)
    terms = {name: criterion(*pair) for name, pair in pairs.items()}
    counts = {name: pair[0].numel() for name, pair in pairs.items()} if mean else None
    ones = dict.fromkeys(terms, 1.0)
    return reduce(operator.add, terms.values()), Counted(terms, counts, ones)


def pairs_of(outputs: Any, labels: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """Pair each output of a mapping with its labels, or with zeros.

    Raises:
        ShapeError: An output and its labels differ in shape.
        DataError: The dtypes or the names do not match.
    """
    if not isinstance(outputs, Mapping) or not outputs:
        raise DataError(
            f"The model returned {describe(outputs)}; expected a tensor to compare with labels, "
            "or a dict of residuals. Return one of them from the model's forward."
        )
    if labels is None:
        return {name: _with_zeros(name, value) for name, value in outputs.items()}
    if not isinstance(labels, Mapping):
        raise DataError(
            f"The model returned {describe(outputs)} and the labels are {describe(labels)}. "
            "Residuals need no labels: make the batch the dict of points alone. Several outputs "
            "need a dict of labels with the same keys."
        )
    if labels.keys() != outputs.keys():
        raise DataError(
            f"The model returned {describe(outputs)} and the labels are {describe(labels)}; "
            "expected the same keys in both."
        )
    return {name: _same(name, value, labels[name]) for name, value in outputs.items()}


def _with_zeros(name: str, value: Any) -> tuple[Tensor, Tensor]:
    if isinstance(value, Tensor) and value.numel():
        return value, torch.zeros_like(value)
    return _same(name, value, value)  # raises the error


def _same(name: str, value: Any, label: Any) -> tuple[Tensor, Tensor]:
    if not isinstance(value, Tensor):
        raise DataError(
            f"The output {name!r} of the model is {describe(value)}; expected a tensor."
        )
    try:
        return same_shape(value, label)
    except (DataError, ShapeError) as error:
        raise type(error)(f"Output {name!r}: {error}") from error
