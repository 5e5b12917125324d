"""Cosine embedding loss: pairs that are alike, and pairs that are not."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.errors import DataError, ShapeError
from perceptrain_core.losses.support.batches import split_batch
from perceptrain_core.losses.support.options import check_reduction
from perceptrain_core.losses.support.shapes import require_tensor, same_shape
from perceptrain_core.tensors import describe
from perceptrain_core.types import Metrics, TBatch


def cosine_embedding_loss(
    batch: TBatch, model: nn.Module, *, margin: float = 0.0, reduction: str = "mean"
) -> tuple[Tensor, Metrics]:
    """Cosine embedding loss, as ``torch.nn.CosineEmbeddingLoss``.

    A pair with label 1 costs ``1 - cos(x1, x2)``, one with label -1
    ``max(0, cos(x1, x2) - margin)``.

    Args:
        batch: ``(inputs, labels)``; the labels are 1 and -1, of shape ``(N,)``.
        model: Gives a tuple of two tensors ``(x1, x2)``, each of shape ``(N, D)``.
        margin: From which cosine on unlike pairs cost something, in [-1, 1].
        reduction: "mean" or "sum" over the pairs.

    Returns:
        The loss, and no metrics.

    Raises:
        ShapeError: The embeddings and the labels do not fit.
        DataError: The model gives no pair, the batch does not fit or is empty.
        ConfigError: The reduction gives no scalar.
    """
    check_reduction(reduction)
    inputs, labels = split_batch(batch)
    outputs = model(inputs)
    if not (isinstance(outputs, (tuple, list)) and len(outputs) == 2):
        raise DataError(
            f"The model returned {describe(outputs)}; expected a tuple of two embeddings (x1, x2), "
            "each of shape (N, D)."
        )
    first, second = same_shape(*outputs)
    labels = require_tensor(labels)
    if labels.shape != first.shape[:-1]:
        raise ShapeError(
            f"The embeddings have shape {tuple(first.shape)} and the labels have shape "
            f"{tuple(labels.shape)}; expected one label, 1 or -1, for each pair: labels of shape "
            f"{tuple(first.shape[:-1])}."
        )
    return F.cosine_embedding_loss(first, second, labels, margin=margin, reduction=reduction), {}
