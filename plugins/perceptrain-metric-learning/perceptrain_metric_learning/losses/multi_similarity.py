"""The multi-similarity loss."""

from __future__ import annotations

from typing import Unpack

from pytorch_metric_learning import losses  # type: ignore[import-untyped]

from perceptrain_metric_learning.checks import check_numbers, check_positive
from perceptrain_metric_learning.losses.embedding_loss import EmbeddingLoss
from perceptrain_metric_learning.shared_options import EmbeddingOptions


class MultiSimilarityLoss(EmbeddingLoss):
    """Weight each pair by its similarity and by those of the other pairs of its anchor.

    Wang et al., "Multi-similarity loss with general pair weighting for deep metric learning", arXiv
    1904.06627; the paper uses it with the miner ``"multi_similarity"``.

    Args:
        alpha: The exponential weight of positive pairs.
        beta: The exponential weight of negative pairs.
        base: The similarity that separates positive from negative pairs.
        distance: Between embeddings. Default: the cosine similarity.
        reducer: Reduces the terms to one number. Default: the mean.

    Raises:
        ConfigError: An option is invalid.
    """

    needs_pairs = True

    def __init__(
        self,
        *,
        alpha: float = 2,
        beta: float = 50,
        base: float = 0.5,
        **shared: Unpack[EmbeddingOptions],
    ) -> None:
        check_positive(alpha=alpha, beta=beta)
        check_numbers(base=base)
        super().__init__(
            losses.MultiSimilarityLoss, {"alpha": alpha, "beta": beta, "base": base}, **shared
        )
