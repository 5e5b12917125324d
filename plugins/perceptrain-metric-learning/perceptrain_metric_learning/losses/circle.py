"""The circle loss."""

from __future__ import annotations

from typing import Unpack

from pytorch_metric_learning import losses  # type: ignore[import-untyped]

from perceptrain_metric_learning.checks import check_numbers, check_positive
from perceptrain_metric_learning.losses.embedding_loss import EmbeddingLoss
from perceptrain_metric_learning.shared_options import EmbeddingOptions


class CircleLoss(EmbeddingLoss):
    """Weight each similarity by its distance from the optimum.

    Sun et al., "Circle loss: a unified perspective of pair similarity optimization", arXiv
    2002.10857. The paper has ``m=0.25, gamma=256`` for faces, 0.25 and 128 for persons, 0.4 and 80
    for retrieval.

    Args:
        m: The relaxation factor, the radius of the decision boundary.
        gamma: The scale of the similarities.
        distance: Between embeddings. Default: the cosine similarity.
        reducer: Reduces the terms to one number. Default: the mean of the terms above 0.

    Raises:
        ConfigError: An option is invalid.
    """

    needs_pairs = True

    def __init__(
        self, *, m: float = 0.4, gamma: float = 80, **shared: Unpack[EmbeddingOptions]
    ) -> None:
        check_numbers(m=m)
        check_positive(gamma=gamma)
        super().__init__(losses.CircleLoss, {"m": m, "gamma": gamma}, **shared)
