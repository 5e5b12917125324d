"""The contrastive loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pytorch_metric_learning import losses  # type: ignore[import-untyped]

from perceptrain_metric_learning.checks import check_numbers
from perceptrain_metric_learning.losses.embedding_loss import EmbeddingLoss
from perceptrain_metric_learning.parts import Part


class ContrastiveLoss(EmbeddingLoss):
    """Bring pairs of one class within a margin, and others beyond another margin.

    Hadsell, Chopra, LeCun, "Dimensionality reduction by learning an invariant mapping", CVPR 2006.
    The metrics ``active_positive_pairs`` and ``active_negative_pairs`` are the numbers of pairs
    whose term is not 0. With a similarity as the distance, give margins of a similarity: 1 and 0.

    Args:
        pos_margin: The distance that pairs of one class may have.
        neg_margin: The distance that other pairs must have.
        miner: Chooses the pairs or triplets that count: a name, a mapping ``{"name": ...,
            **options}`` or an object of the library; None for all.
        distance: Between embeddings, given likewise; None for the Euclidean one of normalised
            embeddings.
        reducer: Makes one number of many, given likewise; None for the mean of the terms above 0.
        embedding_regularizer: A penalty of the embeddings, given likewise; None for none.
        embedding_reg_weight: The weight of that penalty.

    Raises:
        ConfigError: An option cannot be.
    """

    active: ClassVar[Mapping[str, str]] = {
        "pos_loss": "active_positive_pairs",
        "neg_loss": "active_negative_pairs",
    }

    def __init__(
        self,
        *,
        pos_margin: float = 0,
        neg_margin: float = 1,
        miner: Part = None,
        distance: Part = None,
        reducer: Part = None,
        embedding_regularizer: Part = None,
        embedding_reg_weight: float = 1,
    ) -> None:
        check_numbers(pos_margin=pos_margin, neg_margin=neg_margin)
        super().__init__(
            losses.ContrastiveLoss,
            {"pos_margin": pos_margin, "neg_margin": neg_margin},
            miner=miner,
            distance=distance,
            reducer=reducer,
            embedding_regularizer=embedding_regularizer,
            embedding_reg_weight=embedding_reg_weight,
        )
