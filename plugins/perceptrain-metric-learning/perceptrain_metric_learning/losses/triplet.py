"""The triplet loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Unpack

from pytorch_metric_learning import losses  # type: ignore[import-untyped]

from perceptrain_metric_learning.checks import check_counts, check_flags, check_numbers
from perceptrain_metric_learning.losses.embedding_loss import EmbeddingLoss
from perceptrain_metric_learning.shared_options import EmbeddingOptions


class TripletLoss(EmbeddingLoss):
    """Pull an anchor closer to a positive than to a negative, by a margin.

    Schroff, Kalenichenko, Philbin, "FaceNet: a unified embedding for face recognition and
    clustering", arXiv 1503.03832. The metric ``active_triplets`` is the number of triplets whose
    term is not 0; when it reaches 0, training stops making progress.

    Args:
        margin: The required difference of the two distances.
        swap: Whether to use the distance between positive and negative where it violates the
            margin more.
        smooth_loss: Whether to use softplus instead of the hinge.
        triplets_per_anchor: Triplets drawn at random for each sample if there is no miner.
        distance: Between embeddings. Default: Euclidean, of normalized embeddings.
        reducer: Reduces the terms to one number. Default: the mean of the terms above 0.

    Raises:
        ConfigError: An option is invalid.
    """

    needs_pairs = True

    active: ClassVar[Mapping[str, str]] = {"loss": "active_triplets"}

    def __init__(
        self,
        *,
        margin: float = 0.05,
        swap: bool = False,
        smooth_loss: bool = False,
        triplets_per_anchor: int | Literal["all"] = "all",
        **shared: Unpack[EmbeddingOptions],
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
            **shared,
        )
