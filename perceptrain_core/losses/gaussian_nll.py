"""Gaussian negative log likelihood, with a learned variance."""

from __future__ import annotations

from functools import partial
from math import log, pi
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.capturing import is_capturing
from perceptrain_core.errors import DataError
from perceptrain_core.losses.support.batches import split_weighted
from perceptrain_core.losses.support.options import check_reduction
from perceptrain_core.losses.support.sample_weights import reduced
from perceptrain_core.losses.support.shapes import class_advice, require_tensor, same_shape
from perceptrain_core.tensors import describe
from perceptrain_core.types import Metrics, TBatch


def gaussian_nll_loss(
    batch: TBatch,
    model: nn.Module,
    *,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> tuple[Tensor, Metrics]:
    """Negative log likelihood of a normal distribution, as ``torch.nn.GaussianNLLLoss``.

    The loss of an element is ``(log max(v, eps) + (m - y)^2 / max(v, eps)) / 2`` (Nix and Weigend,
    1994).

    Args:
        batch: ``(inputs, labels)``; the labels have shape ``(N, D)``. A third tensor holds a weight
            for each row, shape ``(N,)``.
        model: Returns the mean m and the variance v. Either a tuple ``(mean, variance)``, both of
            the shape of the labels, where the variance may omit one dimension or have size 1 in
            it. Or one tensor of shape ``(N, 2 D)``: the means, then the logarithms of the
            variances, so that every output of a network is valid.
        full: Whether to add the constant ``log(2 pi) / 2``.
        eps: Lower bound of the variance.
        reduction: "mean" or "sum" over all elements.

    Returns:
        The loss, and no metrics.

    Raises:
        ShapeError: Means and labels differ in shape.
        DataError: The model does not return mean and variance, or the batch has another form or is
            empty.
        ValueError: A variance is negative, or its shape does not match.
        ConfigError: The reduction does not return a scalar.
    """
    check_reduction(reduction)
    inputs, labels, weights = split_weighted(batch)
    mean, variance = _mean_and_variance(model(inputs), require_tensor(labels))
    mean, labels = same_shape(mean, labels)
    function = _unchecked if is_capturing() else F.gaussian_nll_loss
    criterion = partial(function, mean, labels, variance.to(mean.dtype), full=full, eps=eps)
    return reduced(criterion, weights, labels.numel(), reduction)


gaussian_nll_loss.outputs_per_label = 2  # type: ignore[attr-defined]


def _unchecked(
    mean: Tensor, labels: Tensor, variance: Tensor, *, full: bool, eps: float, reduction: str
) -> Tensor:
    """Return what ``F.gaussian_nll_loss`` does, which reads the signs of the variances."""
    if variance.shape != mean.shape and variance.shape == mean.shape[:-1]:
        variance = variance.unsqueeze(-1)
    bounded = variance.clone()
    with torch.no_grad():  # the gradient of a variance below the bound is not 0
        bounded.clamp_(min=eps)
    losses = 0.5 * (torch.log(bounded) + (mean - labels).square() / bounded)
    if full:
        losses = losses + 0.5 * log(2 * pi)
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


def _mean_and_variance(outputs: Any, labels: Tensor) -> tuple[Tensor, Tensor]:
    doubled = (*labels.shape[:-1], *(2 * size for size in labels.shape[-1:]))
    if isinstance(outputs, Tensor) and outputs.ndim and outputs.shape == doubled:
        mean, log_variance = outputs.chunk(2, dim=-1)
        return mean, log_variance.exp()
    if isinstance(outputs, (tuple, list)) and len(outputs) == 2:
        return outputs[0], outputs[1]
    advice = class_advice(outputs, labels) if isinstance(outputs, Tensor) else ""
    raise DataError(
        f"The model returned {describe(outputs)}; expected a tuple (mean, variance), or for "
        f"labels of shape {tuple(labels.shape)} one tensor with a last dimension twice theirs: "
        f"the means, then the logarithms of the variances. {advice}".rstrip()
    )
