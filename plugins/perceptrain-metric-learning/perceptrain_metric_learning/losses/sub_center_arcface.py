"""ArcFace with several centres for each class."""

from __future__ import annotations

from typing import Unpack

from perceptrain_metric_learning.checks import check_counts, check_numbers, check_positive
from perceptrain_metric_learning.losses.finite_angles import FiniteSubCenterArcFaceLoss
from perceptrain_metric_learning.losses.proxy_loss import ProxyLoss
from perceptrain_metric_learning.shared_options import ProxyOptions


class SubCenterArcFaceLoss(ProxyLoss):
    """ArcFace with several centres per class, of which the closest counts; robust to wrong labels.

    Deng et al., "Sub-center ArcFace: boosting face recognition by large-scale noisy web faces",
    ECCV 2020. The metric ``accuracy`` is the share of samples nearest to a centre of their own
    class.

    Args:
        margin: The angle, in degrees, by which a sample must be closer to its own class.
        scale: Multiplies the cosines.
        sub_centers: The number of centres for each class.
        distance: Between embeddings and proxies. Default: the cosine similarity.
        reducer: Reduces the terms to one number. Default: the mean.
        weight_init_func: Initializes the proxies in place. Default: standard normal.

    Raises:
        ConfigError: An option is invalid.
    """

    def __init__(
        self,
        *,
        margin: float = 28.6,
        scale: float = 64,
        sub_centers: int = 3,
        **shared: Unpack[ProxyOptions],
    ) -> None:
        check_numbers(margin=margin)
        check_positive(scale=scale)
        check_counts(sub_centers=sub_centers)
        super().__init__(
            FiniteSubCenterArcFaceLoss,
            {"margin": margin, "scale": scale, "sub_centers": sub_centers},
            **shared,
        )
