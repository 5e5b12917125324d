"""The ``map_at_r`` metric."""

from __future__ import annotations

import torch
from torch import Tensor

from perceptrain_metric_learning.metrics.base import RetrievalMetric
from perceptrain_metric_learning.retrieval import nearest_matches


class MAPAtR(RetrievalMetric):
    """Mean average precision at R (arXiv 2003.08505), R being the other samples of a class.

    The average precision of a sample is the sum of the precision at each match among its R nearest
    neighbours, divided by R. A sample that is alone in its class counts as 0.
    """

    def value(self, embeddings: Tensor, labels: Tensor) -> float:
        """Return the mean over all samples."""
        _, classes, sizes = torch.unique(labels, return_inverse=True, return_counts=True)
        others = sizes[classes] - 1
        longest = max(int(others.max()), 1)
        places = torch.arange(1, longest + 1, device=labels.device)
        total, start = 0.0, 0
        for matches in nearest_matches(embeddings, labels, longest):
            own = others[start : start + len(matches), None]
            start += len(matches)
            hits = matches & (places <= own)
            precision = hits.cumsum(dim=1).double() / places
            total += ((precision * hits).sum(dim=1) / own.squeeze(1).clamp(min=1)).sum().item()
        return total / len(labels)
