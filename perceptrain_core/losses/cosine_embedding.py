"""Cosine embedding loss."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.errors import DataError, ShapeError
from perceptrain_core.losses.support.batches import split_weighted
from perceptrain_core.losses.support.domains import check_signs
from perceptrain_core.losses.support.options import check_reduction
from perceptrain_core.losses.support.sample_weights import reduced
from perceptrain_core.losses.support.shapes import require_tensor, same_shape
from perceptrain_core.tensors import describe
from perceptrain_core.types import Metrics, TBatch


def cosine_embedding_loss(
    batch: TBatch, model: nn.Module, *, margin: float = 0.0, reduction: str = "mean"
) -> tuple[Tensor, Metrics]:
    """Cosine embedding loss, as ``torch.nn.CosineEmbeddingLoss``.

    The loss of a pair is ``1 - cos(x1, x2)`` for label 1, and ``max(0, cos(x1, x2) - margin)`` for
    label -1.

    Args:
        batch: ``(inputs, labels)``; the labels are 1 and -1, of shape ``(N,)``. A third tensor
            holds a weight for each row, shape ``(N,)``.
        model: Returns a tuple of two tensors ``(x1, x2)``, each of shape ``(N, D)``.
        margin: Cosine above which a dissimilar pair is penalized, in [-1, 1].
        reduction: "mean" or "sum" over the pairs.

    Returns:
        The loss, and no metrics.

    Raises:
        ShapeError: The shapes of embeddings and labels do not match.
        DataError: The model does not return a pair, or the batch has another form or is empty.
        ConfigError: The reduction does not return a scalar.
    """
    check_reduction(reduction)
    inputs, labels, weights = split_weighted(batch)
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
    check_signs(first, labels)
    criterion = partial(F.cosine_embedding_loss, first, second, labels, margin=margin)
    return reduced(criterion, weights, labels.numel(), reduction)
