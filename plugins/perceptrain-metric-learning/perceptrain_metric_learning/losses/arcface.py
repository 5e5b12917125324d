"""ArcFace, the additive angular margin."""

from __future__ import annotations

from typing import Unpack

from perceptrain_metric_learning.checks import check_numbers, check_positive
from perceptrain_metric_learning.losses.finite_angles import FiniteArcFaceLoss
from perceptrain_metric_learning.losses.proxy_loss import ProxyLoss
from perceptrain_metric_learning.shared_options import ProxyOptions


class ArcFaceLoss(ProxyLoss):
    """Classify by the angle to a centre of each class, plus a margin for the sample's own class.

    Deng et al., "ArcFace: additive angular margin loss for deep face recognition", arXiv
    1801.07698. The metric ``accuracy`` is the share of samples nearest to their own centre.

    Args:
        margin: The angle, in degrees, by which a sample must be closer to its own class.
        scale: Multiplies the cosines.
        distance: Between embeddings and proxies. Default: the cosine similarity.
        reducer: Reduces the terms to one number. Default: the mean.
        weight_init_func: Initializes the proxies in place. Default: standard normal.

    Raises:
        ConfigError: An option is invalid.
    """

    def __init__(
        self, *, margin: float = 28.6, scale: float = 64, **shared: Unpack[ProxyOptions]
    ) -> None:
        check_numbers(margin=margin)
        check_positive(scale=scale)
        super().__init__(FiniteArcFaceLoss, {"margin": margin, "scale": scale}, **shared)
