"""Neighbourhood component analysis with proxies."""

from __future__ import annotations

from typing import Unpack

from pytorch_metric_learning import losses  # type: ignore[import-untyped]

from perceptrain_metric_learning.checks import check_positive
from perceptrain_metric_learning.losses.proxy_loss import DistanceProxyLoss
from perceptrain_metric_learning.shared_options import ProxyOptions


class ProxyNCALoss(DistanceProxyLoss):
    """Pull each sample closer to the proxy of its class than to the others, by a softmax.

    Movshovitz-Attias et al., "No fuss distance metric learning using proxies", arXiv 1703.07464.
    The metric ``accuracy`` is the share of samples nearest to their own proxy.

    Args:
        softmax_scale: Multiplies the distances.
        distance: Between embeddings and proxies. Default: Euclidean, of
            normalized vectors.
        reducer: Reduces the terms to one number. Default: the mean.
        weight_init_func: Initializes the proxies in place. Default: standard normal.

    Raises:
        ConfigError: An option is invalid.
    """

    def __init__(self, *, softmax_scale: float = 1, **shared: Unpack[ProxyOptions]) -> None:
        check_positive(softmax_scale=softmax_scale)
        super().__init__(losses.ProxyNCALoss, {"softmax_scale": softmax_scale}, **shared)
