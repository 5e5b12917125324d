"""Batches with sample weights, for a loss that takes none."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.errors import DataError
from perceptrain_core.losses.support.outputs import unwrapped
from perceptrain_core.random_state import kept_random_state
from perceptrain_core.types import LossFunction


def refuse_weights(
    error: Exception, batch: Any, loss_fn: LossFunction | nn.Module, model: nn.Module
) -> None:
    """Raise another error if a loss failed only because the batch has sample weights.

    Args:
        error: What the loss raised.
        batch: The batch.
        loss_fn: The loss.
        model: The model.

    Raises:
        DataError: The loss accepts the batch without its weights.
    """
    # Losses that take weights, or know that they take none, say so themselves.
    if not _has_weights(batch) or "weight" in str(error):
        return
    try:
        with kept_random_state(), torch.no_grad():
            loss_fn(tuple(batch[:2]), model)
    except Exception:  # it failed for another reason
        return
    *_, (loss, _) = unwrapped(loss_fn)
    name = getattr(loss, "__name__", type(loss).__name__)
    raise DataError(
        f"The loss {name} takes no sample weights, and the batches have some: (inputs, labels, "
        "weights). Leave them out (weights in [data], sample_weight in scikit-learn), or choose a "
        "loss that takes them, such as mse, huber or cross_entropy."
    ) from error


def _has_weights(batch: Any) -> bool:
    if type(batch) not in (tuple, list) or len(batch) != 3:
        return False
    labels, weights = batch[1:]
    if not isinstance(labels, Tensor) or not isinstance(weights, Tensor) or not labels.ndim:
        return False
    numbers = weights.is_floating_point() or weights.dtype is torch.bool
    return numbers and weights.shape in (labels.shape[:1], (len(labels), 1))
