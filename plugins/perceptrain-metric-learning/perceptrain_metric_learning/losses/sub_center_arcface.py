"""ArcFace with several centres for each class."""

from __future__ import annotations

from perceptrain_metric_learning.checks import check_counts, check_numbers, check_positive
from perceptrain_metric_learning.losses.finite_angles import FiniteSubCenterArcFaceLoss
from perceptrain_metric_learning.losses.proxy_loss import ProxyLoss, WeightInit
from perceptrain_metric_learning.parts import Part


class SubCenterArcFaceLoss(ProxyLoss):
    """ArcFace where the nearest of several centres of a class counts, against wrong labels.

    Deng et al., "Sub-center ArcFace: boosting face recognition by large-scale noisy web faces",
    ECCV 2020. The metric ``accuracy`` is the share of samples nearest to a centre of their own
    class.

    Args:
        num_classes: The number of classes; labels are ``0 ... num_classes - 1``.
        embedding_size: The dimension ``d`` of the embeddings.
        margin: The angle, in degrees, by which a sample must be nearer to its own class.
        scale: Multiplies the cosines.
        sub_centers: The number of centres for each class.
        miner: Weighs the samples by how often it chooses them: a name, a mapping ``{"name": ...,
            **options}`` or an object of the library; None for equal weights.
        distance: Between embeddings and proxies, given likewise; None for the cosine similarity.
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
        margin: float = 28.6,
        scale: float = 64,
        sub_centers: int = 3,
        miner: Part = None,
        distance: Part = None,
        reducer: Part = None,
        embedding_regularizer: Part = None,
        embedding_reg_weight: float = 1,
        weight_regularizer: Part = None,
        weight_reg_weight: float = 1,
        weight_init_func: WeightInit | None = None,
    ) -> None:
        check_numbers(margin=margin)
        check_positive(scale=scale)
        check_counts(sub_centers=sub_centers)
        super().__init__(
            FiniteSubCenterArcFaceLoss,
            {"margin": margin, "scale": scale, "sub_centers": sub_centers},
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
