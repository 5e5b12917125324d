"""The losses of deep metric learning by name: triplets, pairs, margins and proxies, with miners.

Importing this module imports neither torch nor pytorch-metric-learning: each name is fetched from
its home when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from perceptrain import Spec, hookimpl

if TYPE_CHECKING:
    from perceptrain_metric_learning.losses.arcface import ArcFaceLoss
    from perceptrain_metric_learning.losses.circle import CircleLoss
    from perceptrain_metric_learning.losses.contrastive import ContrastiveLoss
    from perceptrain_metric_learning.losses.cosface import CosFaceLoss
    from perceptrain_metric_learning.losses.embedding_loss import EmbeddingLoss
    from perceptrain_metric_learning.losses.multi_similarity import MultiSimilarityLoss
    from perceptrain_metric_learning.losses.normalized_softmax import NormalizedSoftmaxLoss
    from perceptrain_metric_learning.losses.nt_xent import NTXentLoss
    from perceptrain_metric_learning.losses.proxy_anchor import ProxyAnchorLoss
    from perceptrain_metric_learning.losses.proxy_loss import ProxyLoss
    from perceptrain_metric_learning.losses.proxy_nca import ProxyNCALoss
    from perceptrain_metric_learning.losses.soft_triple import SoftTripleLoss
    from perceptrain_metric_learning.losses.sub_center_arcface import SubCenterArcFaceLoss
    from perceptrain_metric_learning.losses.supcon import SupConLoss
    from perceptrain_metric_learning.losses.triplet import TripletLoss
    from perceptrain_metric_learning.parts import get_part
    from perceptrain_metric_learning.retrieval import precision_at_1

# Each loss: its name, its class, one line about it.
_LOSSES = (
    ("triplet", "TripletLoss", "Nearer to a positive than to a negative (arXiv 1503.03832)."),
    ("contrastive", "ContrastiveLoss", "Pairs within one margin or beyond another (CVPR 2006)."),
    ("nt_xent", "NTXentLoss", "Softmax of a positive pair, SimCLR (arXiv 2002.05709)."),
    ("supcon", "SupConLoss", "Supervised contrastive loss (arXiv 2004.11362)."),
    (
        "multi_similarity",
        "MultiSimilarityLoss",
        "Pairs weighed by similarities (arXiv 1904.06627).",
    ),
    (
        "circle",
        "CircleLoss",
        "Similarities weighed by their distance from optimum (arXiv 2002.10857).",
    ),
    ("arcface", "ArcFaceLoss", "Class centres, margin of angles (arXiv 1801.07698)."),
    ("cosface", "CosFaceLoss", "Class centres, margin of cosines (arXiv 1801.09414)."),
    ("sub_center_arcface", "SubCenterArcFaceLoss", "ArcFace, several centres a class (ECCV 2020)."),
    ("proxy_anchor", "ProxyAnchorLoss", "Proxies as anchors of their samples (arXiv 2003.13911)."),
    ("proxy_nca", "ProxyNCALoss", "Softmax of distances to proxies (arXiv 1703.07464)."),
    ("normalized_softmax", "NormalizedSoftmaxLoss", "Softmax of cosines (arXiv 1811.12649)."),
    ("soft_triple", "SoftTripleLoss", "Softmax over several centres a class (arXiv 1909.05235)."),
)

#: Where each public name lives.
_HOME = {
    **{target: f"{__name__}.losses.{name}" for name, target, _ in _LOSSES},
    "EmbeddingLoss": f"{__name__}.losses.embedding_loss",
    "ProxyLoss": f"{__name__}.losses.proxy_loss",
    "get_part": f"{__name__}.parts",
    "precision_at_1": f"{__name__}.retrieval",
}

__all__ = [
    "ArcFaceLoss",
    "CircleLoss",
    "ContrastiveLoss",
    "CosFaceLoss",
    "EmbeddingLoss",
    "MultiSimilarityLoss",
    "NTXentLoss",
    "NormalizedSoftmaxLoss",
    "ProxyAnchorLoss",
    "ProxyLoss",
    "ProxyNCALoss",
    "SoftTripleLoss",
    "SubCenterArcFaceLoss",
    "SupConLoss",
    "TripletLoss",
    "get_part",
    "precision_at_1",
]


@hookimpl
def perceptrain_losses() -> list[Spec]:
    """Offer the losses on embeddings."""
    return [
        Spec(name, f"{__name__}.losses.{name}:{target}", summary)
        for name, target, summary in _LOSSES
    ]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
