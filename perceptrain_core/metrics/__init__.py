"""Metrics over a whole data set, such as the F1 score: what no mean over batches can compute."""

from perceptrain_core.metrics.base import Metric

__all__ = ["Metric"]
