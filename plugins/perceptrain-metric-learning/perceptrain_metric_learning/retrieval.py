"""The quality of embeddings for retrieval: whether the nearest samples have the same label."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from perceptrain.errors import DataError, ShapeError

# Rows of the similarity matrix computed at once, to limit memory.
_ROWS = 1024


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
    hits = sum(matches.sum().item() for matches in nearest_matches(embeddings, labels, 1))
    return hits / len(labels)


@torch.no_grad()
def nearest_matches(embeddings: Tensor, labels: Tensor, k: int) -> Iterator[Tensor]:
    """Yield whether the ``k`` nearest samples have the label of a sample, for some rows at a time.

    Args:
        embeddings: As for `precision_at_1`.
        labels: As for `precision_at_1`.
        k: The number of neighbours, nearest first; at most N - 1 are returned.

    Yields:
        Booleans of shape ``(rows, min(k, N - 1))``.

    Raises:
        ShapeError: The shapes do not fit.
        DataError: There are fewer than two samples, or the embeddings are not a floating tensor.
    """
    labels = check_embeddings(embeddings, labels)
    if len(labels) < 2:
        raise DataError(
            f"There are {len(labels)} samples; expected at least 2, to find neighbours."
        )
    unit = torch.nn.functional.normalize(embeddings, dim=1)
    for start in range(0, len(unit), _ROWS):
        similarity = unit[start : start + _ROWS] @ unit.T
        rows = torch.arange(len(similarity), device=unit.device)
        similarity[rows, start + rows] = -torch.inf  # no sample is its own neighbour
        nearest = similarity.topk(min(k, len(unit) - 1), dim=1).indices
        yield labels[nearest] == labels[start : start + _ROWS, None]


def check_embeddings(embeddings: Any, labels: Any) -> Tensor:
    """Check embeddings and labels, and return the labels on the device of the embeddings.

    Raises:
        ShapeError: The shapes do not fit.
        DataError: The embeddings are not a floating tensor.
    """
    if not isinstance(embeddings, Tensor) or not embeddings.is_floating_point():
        given = embeddings.dtype if isinstance(embeddings, Tensor) else type(embeddings).__name__
        raise DataError(f"The embeddings are {given}; expected a tensor of a floating dtype.")
    rows: Tensor = torch.as_tensor(labels, device=embeddings.device)
    if embeddings.ndim != 2 or rows.shape != embeddings.shape[:1]:
        raise ShapeError(
            f"The embeddings have the shape {tuple(embeddings.shape)} and the labels "
            f"{tuple(rows.shape)}; expected (N, d) and (N,)."
        )
    return rows
