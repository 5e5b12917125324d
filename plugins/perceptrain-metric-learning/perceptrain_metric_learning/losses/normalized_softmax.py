"""Cross entropy of cosines."""

from __future__ import annotations

from typing import Unpack

from pytorch_metric_learning import losses  # type: ignore[import-untyped]

from perceptrain_metric_learning.checks import check_positive
from perceptrain_metric_learning.losses.proxy_loss import ProxyLoss
from perceptrain_metric_learning.shared_options import ProxyOptions


class NormalizedSoftmaxLoss(ProxyLoss):
    """Classify by cosines to a vector for each class, divided by a temperature.

    Zhai, Wu, "Classification is a strong baseline for deep metric learning", arXiv 1811.12649. The
    metric ``accuracy`` is the share of samples nearest to their own vector.

    Args:
        temperature: Divides the cosines.
        distance: Between embeddings and proxies. Default: the dot product of
            normalized vectors.
        reducer: Reduces the terms to one number. Default: the mean.
        weight_init_func: Initializes the proxies in place. Default: standard normal.

    Raises:
        ConfigError: An option is invalid.
    """

    def __init__(self, *, temperature: float = 0.05, **shared: Unpack[ProxyOptions]) -> None:
        check_positive(temperature=temperature)
        super().__init__(losses.NormalizedSoftmaxLoss, {"temperature": temperature}, **shared)
