"""Precision at 1, a quality measure of embeddings."""

from __future__ import annotations

import torch
from torch import Tensor

from perceptrain.errors import DataError, ShapeError

# Rows of the similarity matrix computed at once, to limit memory.
_ROWS = 1024


@torch.no_grad()
def precision_at_1(embeddings: Tensor, labels: Tensor) -> float:
    """Return the fraction of samples whose nearest neighbour has their label (also recall at 1).

    Args:
        embeddings: Of shape ``(N, d)``, N at least 2, of a floating dtype, on any device; compared
            by their cosine similarity.
        labels: Of shape ``(N,)``, on any device.

    Returns:
        A number from 0 to 1. A sample that is alone in its class counts as a miss.

    Raises:
        ShapeError: The shapes do not fit.
        DataError: There are fewer than two samples, or the embeddings are not a floating tensor.
    """
    if not isinstance(embeddings, Tensor) or not embeddings.is_floating_point():
        given = embeddings.dtype if isinstance(embeddings, Tensor) else type(embeddings).__name__
        raise DataError(f"The embeddings are {given}; expected a tensor of a floating dtype.")
    labels = torch.as_tensor(labels, device=embeddings.device)
    if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
        raise ShapeError(
            f"The embeddings have the shape {tuple(embeddings.shape)} and the labels "
            f"{tuple(labels.shape)}; expected (N, d) and (N,)."
        )
    if len(labels) < 2:
        raise DataError(
            f"There are {len(labels)} samples; expected at least 2, to find neighbours."
        )
    unit = torch.nn.functional.normalize(embeddings, dim=1)
    hits = 0.0
    for start in range(0, len(unit), _ROWS):
        similarity = unit[start : start + _ROWS] @ unit.T
        rows = torch.arange(len(similarity), device=unit.device)
        similarity[rows, start + rows] = -torch.inf  # no sample is its own neighbour
        hits += (labels[similarity.argmax(1)] == labels[start : start + _ROWS]).sum().item()
    return hits / len(labels)
