"""The triplet loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pytorch_metric_learning import losses  # type: ignore[import-untyped]

from perceptrain_metric_learning.checks import check_counts, check_flags, check_numbers
from perceptrain_metric_learning.losses.embedding_loss import EmbeddingLoss
from perceptrain_metric_learning.parts import Part


class TripletLoss(EmbeddingLoss):
    """Bring an anchor nearer to a positive than to a negative, by a margin.

    Schroff, Kalenichenko, Philbin, "FaceNet: a unified embedding for face recognition and
    clustering", arXiv 1503.03832. The metric ``active_triplets`` is the number of triplets whose
    term is not 0; when it falls to 0, nothing is learnt any more.

    Args:
        margin: How much nearer.
        swap: Whether the distance of positive and negative counts where it violates the margin
            more.
        smooth_loss: Whether to take softplus in the place of the hinge.
        triplets_per_anchor: How many are drawn at random for each sample, without a miner.
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

    active: ClassVar[Mapping[str, str]] = {"loss": "active_triplets"}

    def __init__(
        self,
        *,
        margin: float = 0.05,
        swap: bool = False,
        smooth_loss: bool = False,
        triplets_per_anchor: int | Literal["all"] = "all",
        miner: Part = None,
        distance: Part = None,
        reducer: Part = None,
        embedding_regularizer: Part = None,
        embedding_reg_weight: float = 1,
    ) -> None:
        check_numbers(margin=margin)
        check_flags(swap=swap, smooth_loss=smooth_loss)
        if triplets_per_anchor != "all":
            check_counts(triplets_per_anchor=triplets_per_anchor)
        super().__init__(
            losses.TripletMarginLoss,
            {
                "margin": margin,
                "swap": swap,
                "smooth_loss": smooth_loss,
                "triplets_per_anchor": triplets_per_anchor,
            },
            miner=miner,
            distance=distance,
            reducer=reducer,
            embedding_regularizer=embedding_regularizer,
            embedding_reg_weight=embedding_reg_weight,
        )
