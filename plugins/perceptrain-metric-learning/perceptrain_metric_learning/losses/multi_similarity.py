"""The multi-similarity loss."""

from __future__ import annotations

from pytorch_metric_learning import losses  # type: ignore[import-untyped]

from perceptrain_metric_learning.checks import check_numbers, check_positive
from perceptrain_metric_learning.losses.embedding_loss import EmbeddingLoss
from perceptrain_metric_learning.parts import Part


class MultiSimilarityLoss(EmbeddingLoss):
    """Weigh each pair by its own similarity and by those of the other pairs of its anchor.

    Wang et al., "Multi-similarity loss with general pair weighting for deep metric learning", arXiv
    1904.06627; the paper uses it with the miner ``"multi_similarity"``.

    Args:
        alpha: The exponential weight of positive pairs.
        beta: The exponential weight of negative pairs.
        base: The similarity that parts them.
        miner: Chooses the pairs or triplets that count: a name, a mapping ``{"name": ...,
            **options}`` or an object of the library; None for all.
        distance: Between embeddings, given likewise; None for the cosine similarity.
        reducer: Makes one number of many, given likewise; None for the mean.
        embedding_regularizer: A penalty of the embeddings, given likewise; None for none.
        embedding_reg_weight: The weight of that penalty.

    Raises:
        ConfigError: An option cannot be.
    """

    def __init__(
        self,
        *,
        alpha: float = 2,
        beta: float = 50,
        base: float = 0.5,
        miner: Part = None,
        distance: Part = None,
        reducer: Part = None,
        embedding_regularizer: Part = None,
        embedding_reg_weight: float = 1,
    ) -> None:
        check_positive(alpha=alpha, beta=beta)
        check_numbers(base=base)
        super().__init__(
            losses.MultiSimilarityLoss,
            {"alpha": alpha, "beta": beta, "base": base},
            miner=miner,
            distance=distance,
            reducer=reducer,
            embedding_regularizer=embedding_regularizer,
            embedding_reg_weight=embedding_reg_weight,
        )
