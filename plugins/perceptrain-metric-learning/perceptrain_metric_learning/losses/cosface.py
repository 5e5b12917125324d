"""CosFace, the large margin cosine loss."""

from __future__ import annotations

from typing import Unpack

from pytorch_metric_learning import losses  # type: ignore[import-untyped]

from perceptrain_metric_learning.checks import check_numbers, check_positive
from perceptrain_metric_learning.losses.proxy_loss import ProxyLoss
from perceptrain_metric_learning.shared_options import ProxyOptions


class CosFaceLoss(ProxyLoss):
    """Classify by cosines to a centre for each class, with a margin subtracted for the own class.

    Wang et al., "CosFace: large margin cosine loss for deep face recognition", arXiv 1801.09414.
    The metric ``accuracy`` is the share of samples nearest to their own centre.

    Args:
        margin: The cosine by which a sample must be closer to its own class.
        scale: Multiplies the cosines.
        distance: Between embeddings and proxies. Default: the cosine similarity.
        reducer: Reduces the terms to one number. Default: the mean.
        weight_init_func: Initializes the proxies in place. Default: standard normal.

    Raises:
        ConfigError: An option is invalid.
    """

    def __init__(
        self, *, margin: float = 0.35, scale: float = 64, **shared: Unpack[ProxyOptions]
    ) -> None:
        check_numbers(margin=margin)
        check_positive(scale=scale)
        super().__init__(losses.CosFaceLoss, {"margin": margin, "scale": scale}, **shared)
