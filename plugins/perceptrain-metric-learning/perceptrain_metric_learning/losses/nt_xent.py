"""The normalised, temperature-scaled cross entropy."""

from __future__ import annotations

from pytorch_metric_learning import losses  # type: ignore[import-untyped]

from perceptrain_metric_learning.checks import check_positive
from perceptrain_metric_learning.losses.embedding_loss import EmbeddingLoss
from perceptrain_metric_learning.parts import Part


class NTXentLoss(EmbeddingLoss):
    """Tell each positive pair from the negative ones of its anchor, by a softmax.

    Chen, Kornblith, Norouzi, Hinton, "A simple framework for contrastive learning of visual
    representations" (SimCLR), arXiv 2002.05709. For two views of each sample, without classes, give
    both views of one sample the same label.

    Args:
        temperature: Divides the similarities.
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
        temperature: float = 0.07,
        miner: Part = None,
        distance: Part = None,
        reducer: Part = None,
        embedding_regularizer: Part = None,
        embedding_reg_weight: float = 1,
    ) -> None:
        check_positive(temperature=temperature)
        super().__init__(
            losses.NTXentLoss,
            {"temperature": temperature},
            miner=miner,
            distance=distance,
            reducer=reducer,
            embedding_regularizer=embedding_regularizer,
            embedding_reg_weight=embedding_reg_weight,
        )
