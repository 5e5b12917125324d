"""The ``recall_at_k`` metric."""

from __future__ import annotations

from torch import Tensor

from perceptrain.errors import ConfigError
from perceptrain_metric_learning.metrics.base import RetrievalMetric
from perceptrain_metric_learning.retrieval import nearest_matches


class RecallAtK(RetrievalMetric):
    """Share of samples with a sample of their label among their k nearest neighbours.

    For k = 1 it is `precision_at_1`. A sample that is alone in its class counts as a miss.

    Args:
        k: The number of neighbours.

    Raises:
        ConfigError: ``k`` is not a whole number of at least 1.
    """

    def __init__(self, k: int = 1) -> None:
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise ConfigError(f"RecallAtK: k={k!r}: expected a whole number of at least 1.")
        self.k = k
        super().__init__()

    def value(self, embeddings: Tensor, labels: Tensor) -> float:
        """Return the share of samples with a match."""
        found = nearest_matches(embeddings, labels, self.k)
        return sum(matches.any(dim=1).sum().item() for matches in found) / len(labels)
