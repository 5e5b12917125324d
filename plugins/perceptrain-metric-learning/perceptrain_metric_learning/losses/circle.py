"""The circle loss."""

from __future__ import annotations

from pytorch_metric_learning import losses  # type: ignore[import-untyped]

from perceptrain_metric_learning.checks import check_numbers, check_positive
from perceptrain_metric_learning.losses.embedding_loss import EmbeddingLoss
from perceptrain_metric_learning.parts import Part


class CircleLoss(EmbeddingLoss):
    """Weigh each similarity by how far it is from its optimum.

    Sun et al., "Circle loss: a unified perspective of pair similarity optimization", arXiv
    2002.10857. The paper has ``m=0.25, gamma=256`` for faces, 0.25 and 128 for persons, 0.4 and 80
    for retrieval.

    Args:
        m: The relaxation, which sets the radius of the boundary.
        gamma: The scale of the similarities.
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
        m: float = 0.4,
        gamma: float = 80,
        miner: Part = None,
        distance: Part = None,
        reducer: Part = None,
        embedding_regularizer: Part = None,
        embedding_reg_weight: float = 1,
    ) -> None:
        check_numbers(m=m)
        check_positive(gamma=gamma)
        super().__init__(
            losses.CircleLoss,
            {"m": m, "gamma": gamma},
            miner=miner,
            distance=distance,
            reducer=reducer,
            embedding_regularizer=embedding_regularizer,
            embedding_reg_weight=embedding_reg_weight,
        )
