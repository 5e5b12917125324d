"""The soft triple loss."""

from __future__ import annotations

from pytorch_metric_learning import losses  # type: ignore[import-untyped]

from perceptrain.errors import ConfigError
from perceptrain_metric_learning.checks import check_counts, check_numbers, check_positive
from perceptrain_metric_learning.losses.proxy_loss import ProxyLoss, WeightInit
from perceptrain_metric_learning.parts import Part, get_part


class SoftTripleLoss(ProxyLoss):
    """Classify by similarities to several centres for each class, without choosing triplets.

    Qian et al., "SoftTriple loss: deep metric learning without triplet sampling", arXiv 1909.05235.
    The metric ``accuracy`` is the share of samples nearest to the centres of their own class.

    Args:
        num_classes: The number of classes; labels are ``0 ... num_classes - 1``.
        embedding_size: The dimension ``d`` of the embeddings.
        centers_per_class: The number of centres for each class.
        la: Multiplies the similarities, lambda in the paper.
        gamma: The temperature among the centres of a class.
        margin: By which a sample must be nearer to its own class.
        miner: Weighs the samples by how often it chooses them: a name, a mapping ``{"name": ...,
            **options}`` or an object of the library; None for equal weights.
        distance: Between embeddings and proxies, given likewise; None for the cosine similarity.
        reducer: Makes one number of many, given likewise; None for the mean.
        embedding_regularizer: A penalty of the embeddings, given likewise; None for none.
        embedding_reg_weight: The weight of that penalty.
        weight_regularizer: A penalty of the proxies, given likewise; None for none.
        weight_reg_weight: The weight of that penalty.
        weight_init_func: Fills the proxies in place at the start; None for Kaiming's uniform one.

    Raises:
        ConfigError: An option cannot be.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        embedding_size: int,
        centers_per_class: int = 10,
        la: float = 20,
        gamma: float = 0.1,
        margin: float = 0.01,
        miner: Part = None,
        distance: Part = None,
        reducer: Part = None,
        embedding_regularizer: Part = None,
        embedding_reg_weight: float = 1,
        weight_regularizer: Part = None,
        weight_reg_weight: float = 1,
        weight_init_func: WeightInit | None = None,
    ) -> None:
        check_counts(centers_per_class=centers_per_class)
        check_positive(la=la, gamma=gamma)
        check_numbers(margin=margin)
        distance = get_part("distance", distance)
        if distance is not None and not distance.is_inverted:
            raise ConfigError(
                f"SoftTripleLoss compares by a similarity, not by {distance!r}. Use the distance "
                "'cosine_similarity' or 'dot_product_similarity'."
            )
        super().__init__(
            losses.SoftTripleLoss,
            {"centers_per_class": centers_per_class, "la": la, "gamma": gamma, "margin": margin},
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
