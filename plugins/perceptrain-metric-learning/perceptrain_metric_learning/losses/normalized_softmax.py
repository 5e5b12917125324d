"""Cross entropy of cosines."""

from __future__ import annotations

from pytorch_metric_learning import losses  # type: ignore[import-untyped]

from perceptrain_metric_learning.checks import check_positive
from perceptrain_metric_learning.losses.proxy_loss import ProxyLoss, WeightInit
from perceptrain_metric_learning.parts import Part


class NormalizedSoftmaxLoss(ProxyLoss):
    """Classify by cosines to a vector for each class, divided by a temperature.

    Zhai, Wu, "Classification is a strong baseline for deep metric learning", arXiv 1811.12649. The
    metric ``accuracy`` is the share of samples nearest to their own vector.

    Args:
        num_classes: The number of classes; labels are ``0 ... num_classes - 1``.
        embedding_size: The dimension ``d`` of the embeddings.
        temperature: Divides the cosines.
        miner: Weighs the samples by how often it chooses them: a name, a mapping ``{"name": ...,
            **options}`` or an object of the library; None for equal weights.
        distance: Between embeddings and proxies, given likewise; None for the dot product of
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
        temperature: float = 0.05,
        miner: Part = None,
        distance: Part = None,
        reducer: Part = None,
        embedding_regularizer: Part = None,
        embedding_reg_weight: float = 1,
        weight_regularizer: Part = None,
        weight_reg_weight: float = 1,
        weight_init_func: WeightInit | None = None,
    ) -> None:
        check_positive(temperature=temperature)
        super().__init__(
            losses.NormalizedSoftmaxLoss,
            {"temperature": temperature},
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
