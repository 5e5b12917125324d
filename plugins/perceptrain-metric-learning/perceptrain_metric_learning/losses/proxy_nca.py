"""Neighbourhood components by proxies."""

from __future__ import annotations

from pytorch_metric_learning import losses  # type: ignore[import-untyped]

from perceptrain_metric_learning.checks import check_positive
from perceptrain_metric_learning.losses.proxy_loss import DistanceProxyLoss, WeightInit
from perceptrain_metric_learning.parts import Part


class ProxyNCALoss(DistanceProxyLoss):
    """Bring each sample nearer to the proxy of its class than to the others, by a softmax.

    Movshovitz-Attias et al., "No fuss distance metric learning using proxies", arXiv 1703.07464.
    The metric ``accuracy`` is the share of samples nearest to their own proxy.

    Args:
        num_classes: The number of classes; labels are ``0 ... num_classes - 1``.
        embedding_size: The dimension ``d`` of the embeddings.
        softmax_scale: Multiplies the distances.
        miner: Weighs the samples by how often it chooses them: a name, a mapping ``{"name": ...,
            **options}`` or an object of the library; None for equal weights.
        distance: Between embeddings and proxies, given likewise; None for the Euclidean one of
            normalised vectors.
        reducer: Makes one number of many, given likewise; None for the mean.
        embedding_regularizer: A penalty of the embeddings, given likewise; None for none.
        embedding_reg_weight: The weight of that penalty.
        weight_regularizer: A penalty of the proxies, given likewise; None for none.
        weight_reg_weight: The weight of that penalty.
        weight_init_func: Fills the proxies in place at the start; None for a standard normal.

    Raises:
        ConfigError: An option cannot be.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        embedding_size: int,
        softmax_scale: float = 1,
        miner: Part = None,
        distance: Part = None,
        reducer: Part = None,
        embedding_regularizer: Part = None,
        embedding_reg_weight: float = 1,
        weight_regularizer: Part = None,
        weight_reg_weight: float = 1,
        weight_init_func: WeightInit | None = None,
    ) -> None:
        check_positive(softmax_scale=softmax_scale)
        super().__init__(
            losses.ProxyNCALoss,
            {"softmax_scale": softmax_scale},
            num_classes=num_classes,
            embedding_size=embedding_size,
            miner=miner,
            distance=distance,
            reducer=reducer,
            embedding_regularizer=embedding_regularizer,
            embedding_reg_weight=embedding_reg_weight,
            weight_regularizer=weight_regularizer,
            weight_reg_weight=weight_reg_weight,
            weight_init_func=weight_init_func,
        )
