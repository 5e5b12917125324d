"""The base of metrics that look for neighbours in the whole data set."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from perceptrain.errors import DataError
from perceptrain_metric_learning.retrieval import check_embeddings


class RetrievalMetric:
    """Collect the embeddings of a data set, each of which is a query for the others.

    Embeddings are compared by their cosine similarity, in float32 or better. All are kept in memory
    until the end of the pass.
    """

    higher_is_better = True

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all embeddings."""
        self._embeddings: list[Tensor] = []
        self._labels: list[Tensor] = []

    def update(self, preds: Any, target: Any) -> None:
        """Add a batch of embeddings ``(N, d)`` and labels ``(N,)``.

        Raises:
            ShapeError: The shapes do not fit.
            DataError: The embeddings are not a floating tensor.
        """
        labels = check_embeddings(preds, target)
        self._embeddings.append(preds.detach().to(torch.promote_types(preds.dtype, torch.float32)))
        self._labels.append(labels)

    def merge_state(self, other: RetrievalMetric) -> None:
        """Add the embeddings that another metric of the same class has seen."""
        self._embeddings += other._embeddings
        self._labels += other._labels

    def to(self, device: torch.device | str) -> RetrievalMetric:
        """Move the embeddings to a device."""
        self._embeddings = [embeddings.to(device) for embeddings in self._embeddings]
        self._labels = [labels.to(device) for labels in self._labels]
        return self

    def compute(self) -> float:
        """Return the metric over all embeddings.

        Raises:
            DataError: There are fewer than two.
        """
        if not self._labels:
            raise DataError(f"{type(self).__name__} has seen no embeddings, so it has no value.")
        return self.value(torch.cat(self._embeddings), torch.cat(self._labels))

    def value(self, embeddings: Tensor, labels: Tensor) -> float:
        """Return the metric; subclasses implement this.

        Args:
            embeddings: Of shape ``(N, d)``.
            labels: Of shape ``(N,)``.
        """
        raise NotImplementedError
