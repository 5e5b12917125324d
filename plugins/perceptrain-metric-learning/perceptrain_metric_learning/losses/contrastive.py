"""The contrastive loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Unpack

from pytorch_metric_learning import losses  # type: ignore[import-untyped]

from perceptrain_metric_learning.checks import check_numbers
from perceptrain_metric_learning.losses.embedding_loss import EmbeddingLoss
from perceptrain_metric_learning.shared_options import EmbeddingOptions


class ContrastiveLoss(EmbeddingLoss):
    """Pull pairs of one class within a margin, and push others beyond another margin.

    Hadsell, Chopra, LeCun, "Dimensionality reduction by learning an invariant mapping", CVPR 2006.
    The metrics ``active_positive_pairs`` and ``active_negative_pairs`` are the numbers of pairs
    whose term is not 0. If ``distance`` is a similarity, the margins are similarities too: 1 and 0.

    Args:
        pos_margin: The largest distance between samples of one class without a penalty.
        neg_margin: The smallest distance between samples of two classes without a penalty.
        distance: Between embeddings. Default: Euclidean, of normalized embeddings.
        reducer: Reduces the terms to one number. Default: the mean of the terms above 0.

    Raises:
        ConfigError: An option is invalid.
    """

    needs_pairs = True

    active: ClassVar[Mapping[str, str]] = {
        "pos_loss": "active_positive_pairs",
        "neg_loss": "active_negative_pairs",
    }

    def __init__(
        self, *, pos_margin: float = 0, neg_margin: float = 1, **shared: Unpack[EmbeddingOptions]
    ) -> None:
        check_numbers(pos_margin=pos_margin, neg_margin=neg_margin)
        super().__init__(
            losses.ContrastiveLoss, {"pos_margin": pos_margin, "neg_margin": neg_margin}, **shared
        )
