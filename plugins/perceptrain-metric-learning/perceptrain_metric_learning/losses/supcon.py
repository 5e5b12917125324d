"""The supervised contrastive loss."""

from __future__ import annotations

from pytorch_metric_learning import losses  # type: ignore[import-untyped]

from perceptrain_metric_learning.checks import check_positive
from perceptrain_metric_learning.losses.embedding_loss import EmbeddingLoss
from perceptrain_metric_learning.parts import Part


class SupConLoss(EmbeddingLoss):
    """Tell the samples of an anchor's class from all others, by a softmax.

    Khosla et al., "Supervised contrastive learning", arXiv 2004.11362.

    Args:
        temperature: Divides the similarities.
        miner: Chooses the pairs or triplets that count: a name, a mapping ``{"name": ...,
            **options}`` or an object of the library; None for all.
        distance: Between embeddings, given likewise; None for the cosine similarity.
        reducer: Makes one number of many, given likewise; None for the mean of the terms above 0.
        embedding_regularizer: A penalty of the embeddings, given likewise; None for none.
        embedding_reg_weight: The weight of that penalty.

    Raises:
        ConfigError: An option cannot be.
    """

    def __init__(
        self,
        *,
        temperature: float = 0.1,
        miner: Part = None,
        distance: Part = None,
        reducer: Part = None,
        embedding_regularizer: Part = None,
        embedding_reg_weight: float = 1,
    ) -> None:
        check_positive(temperature=temperature)
        super().__init__(
            losses.SupConLoss,
            {"temperature": temperature},
            miner=miner,
            distance=distance,
            reducer=reducer,
            embedding_regularizer=embedding_regularizer,
            embedding_reg_weight=embedding_reg_weight,
        )
