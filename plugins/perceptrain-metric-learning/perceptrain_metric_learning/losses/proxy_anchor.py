"""The proxy anchor loss."""

from __future__ import annotations

from typing import Unpack

from pytorch_metric_learning import losses  # type: ignore[import-untyped]

from perceptrain_metric_learning.checks import check_numbers, check_positive
from perceptrain_metric_learning.losses.proxy_loss import DistanceProxyLoss
from perceptrain_metric_learning.shared_options import ProxyOptions


class ProxyAnchorLoss(DistanceProxyLoss):
    """Pull the samples of a class to its proxy, hard ones most, and push the others away.

    Kim et al., "Proxy anchor loss for deep metric learning", arXiv 2003.13911. The metric
    ``accuracy`` is the share of samples nearest to their own proxy. The paper trains the proxies at
    100 times the rate of the model.

    Args:
        margin: The similarity beyond which a pair has little weight.
        alpha: The scale of the similarities.
        distance: Between embeddings and proxies. Default: the cosine similarity.
        reducer: Reduces the terms to one number. Default: the mean over proxies.
        weight_init_func: Initializes the proxies in place. Default: Kaiming normal.

    Raises:
        ConfigError: An option is invalid.
    """

    def __init__(
        self, *, margin: float = 0.1, alpha: float = 32, **shared: Unpack[ProxyOptions]
    ) -> None:
        check_numbers(margin=margin)
        check_positive(alpha=alpha)
        super().__init__(losses.ProxyAnchorLoss, {"margin": margin, "alpha": alpha}, **shared)
