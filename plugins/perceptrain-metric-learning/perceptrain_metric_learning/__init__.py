"""The losses of deep metric learning by name: triplets, pairs, margins and proxies, with miners.

Importing this package imports neither torch nor pytorch-metric-learning.
"""

from __future__ import annotations

from perceptrain import Spec, hookimpl, lazy_exports

with lazy_exports(__name__):
    from perceptrain_metric_learning.losses.arcface import ArcFaceLoss as ArcFaceLoss
    from perceptrain_metric_learning.losses.circle import CircleLoss as CircleLoss
    from perceptrain_metric_learning.losses.contrastive import ContrastiveLoss as ContrastiveLoss
    from perceptrain_metric_learning.losses.cosface import CosFaceLoss as CosFaceLoss
    from perceptrain_metric_learning.losses.embedding_loss import EmbeddingLoss as EmbeddingLoss
    from perceptrain_metric_learning.losses.multi_similarity import (
        MultiSimilarityLoss as MultiSimilarityLoss,
    )
    from perceptrain_metric_learning.losses.normalized_softmax import (
        NormalizedSoftmaxLoss as NormalizedSoftmaxLoss,
    )
    from perceptrain_metric_learning.losses.nt_xent import NTXentLoss as NTXentLoss
    from perceptrain_metric_learning.losses.proxy_anchor import ProxyAnchorLoss as ProxyAnchorLoss
    from perceptrain_metric_learning.losses.proxy_loss import ProxyLoss as ProxyLoss
    from perceptrain_metric_learning.losses.proxy_nca import ProxyNCALoss as ProxyNCALoss
    from perceptrain_metric_learning.losses.soft_triple import SoftTripleLoss as SoftTripleLoss
    from perceptrain_metric_learning.losses.sub_center_arcface import (
        SubCenterArcFaceLoss as SubCenterArcFaceLoss,
    )
    from perceptrain_metric_learning.losses.supcon import SupConLoss as SupConLoss
    from perceptrain_metric_learning.losses.triplet import TripletLoss as TripletLoss
    from perceptrain_metric_learning.metrics.map_at_r import MAPAtR as MAPAtR
    from perceptrain_metric_learning.metrics.recall_at_k import RecallAtK as RecallAtK
    from perceptrain_metric_learning.parts import get_part as get_part
    from perceptrain_metric_learning.retrieval import precision_at_1 as precision_at_1


@hookimpl
def perceptrain_losses() -> list[Spec]:
    """Offer the losses on embeddings."""
    return [
        Spec(
            "triplet",
            TripletLoss,
            "Closer to a positive than to a negative sample (arXiv 1503.03832).",
        ),
        Spec(
            "contrastive",
            ContrastiveLoss,
            "Positive pairs within one margin, negative pairs beyond another (CVPR 2006).",
        ),
        Spec(
            "nt_xent",
            NTXentLoss,
            "SimCLR: each positive pair against the negatives (arXiv 2002.05709).",
        ),
        Spec("supcon", SupConLoss, "Supervised contrastive loss (arXiv 2004.11362)."),
        Spec(
            "multi_similarity",
            MultiSimilarityLoss,
            "Pairs weighted by similarities (arXiv 1904.06627).",
        ),
        Spec(
            "circle",
            CircleLoss,
            "Similarities weighted by distance from their optimum (arXiv 2002.10857).",
        ),
        Spec("arcface", ArcFaceLoss, "Class centers with an angular margin (arXiv 1801.07698)."),
        Spec("cosface", CosFaceLoss, "Class centers with a cosine margin (arXiv 1801.09414)."),
        Spec(
            "sub_center_arcface",
            SubCenterArcFaceLoss,
            "ArcFace with several centers per class (ECCV 2020).",
        ),
        Spec(
            "proxy_anchor",
            ProxyAnchorLoss,
            "Proxies as anchors (arXiv 2003.13911).",
        ),
        Spec("proxy_nca", ProxyNCALoss, "Softmax of the distances to proxies (arXiv 1703.07464)."),
        Spec(
            "normalized_softmax",
            NormalizedSoftmaxLoss,
            "Cross entropy of cosines (arXiv 1811.12649).",
        ),
        Spec(
            "soft_triple",
            SoftTripleLoss,
            "Softmax over several centers per class (arXiv 1909.05235).",
        ),
    ]


@hookimpl
def perceptrain_metrics() -> list[Spec]:
    """Offer the metrics of retrieval."""
    return [
        Spec("recall_at_k", RecallAtK, "Share of samples with a match among their k nearest."),
        Spec("map_at_r", MAPAtR, "Mean average precision at R (arXiv 2003.08505)."),
    ]
