"""The soft triple loss."""

from __future__ import annotations

from typing import Any, Unpack

from pytorch_metric_learning import losses  # type: ignore[import-untyped]

from perceptrain.errors import ConfigError
from perceptrain_metric_learning.checks import check_counts, check_numbers, check_positive
from perceptrain_metric_learning.losses.proxy_loss import ProxyLoss
from perceptrain_metric_learning.parts import get_part
from perceptrain_metric_learning.shared_options import ProxyOptions


class SoftTripleLoss(ProxyLoss):
    """Classify by similarities to several centres for each class, without sampling triplets.

    Qian et al., "SoftTriple loss: deep metric learning without triplet sampling", arXiv 1909.05235.
    The metric ``accuracy`` is the share of samples nearest to the centres of their own class.

    Args:
        centers_per_class: The number of centres for each class.
        la: Multiplies the similarities, lambda in the paper.
        gamma: The temperature among the centres of a class.
        margin: The similarity by which a sample must be closer to its own class.
        distance: Between embeddings and proxies. Default: the cosine similarity.
        reducer: Reduces the terms to one number. Default: the mean.
        weight_init_func: Initializes the proxies in place. Default: Kaiming uniform.

    Raises:
        ConfigError: An option is invalid.
    """

    def __init__(
        self,
        *,
        centers_per_class: int = 10,
        la: float = 20,
        gamma: float = 0.1,
        margin: float = 0.01,
        **shared: Unpack[ProxyOptions],
    ) -> None:
        check_counts(centers_per_class=centers_per_class)
        check_positive(la=la, gamma=gamma)
        check_numbers(margin=margin)
        distance: Any = get_part("distance", shared.get("distance"))
        shared["distance"] = distance
        if distance is not None and not distance.is_inverted:
            raise ConfigError(
                f"SoftTripleLoss compares by a similarity, not by {distance!r}. Use the distance "
                "'cosine_similarity' or 'dot_product_similarity'."
            )
        super().__init__(
            losses.SoftTripleLoss,
            {"centers_per_class": centers_per_class, "la": la, "gamma": gamma, "margin": margin},
            **shared,
        )
