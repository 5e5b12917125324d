"""Every miner, distance, reducer and regularizer in every loss, in both precisions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pytorch_metric_learning import losses
from torch import Tensor, nn

from perceptrain import PerceptrainError, get_loss
from perceptrain_metric_learning import get_part
from perceptrain_metric_learning.parts import PARTS

CLASSES, SIZE = 4, 5
PAIRS: dict[str, Any] = {
    "triplet": losses.TripletMarginLoss,
    "contrastive": losses.ContrastiveLoss,
    "nt_xent": losses.NTXentLoss,
    "supcon": losses.SupConLoss,
    "multi_similarity": losses.MultiSimilarityLoss,
    "circle": losses.CircleLoss,
}
PROXIES: dict[str, Any] = {
    "arcface": losses.ArcFaceLoss,
    "cosface": losses.CosFaceLoss,
    "sub_center_arcface": losses.SubCenterArcFaceLoss,
    "proxy_anchor": losses.ProxyAnchorLoss,
    "proxy_nca": losses.ProxyNCALoss,
    "normalized_softmax": losses.NormalizedSoftmaxLoss,
    "soft_triple": losses.SoftTripleLoss,
}
NEEDED: dict[str, dict[str, Any]] = {
    "class_weighted": {"weights": [1.0, 2.0, 3.0, 0.5]},
    "threshold": {"low": 0.1},
}

#: The option of a loss, and the kind of part that it is.
KINDS = {
    "miner": "miner",
    "distance": "distance",
    "reducer": "reducer",
    "embedding_regularizer": "regularizer",
    "weight_regularizer": "regularizer",
}
GIVEN = [
    (name, option, part)
    for name in {**PAIRS, **PROXIES}
    for option, kind in KINDS.items()
    if name in PROXIES or option != "weight_regularizer"
    for part in PARTS[kind]
    if part != "sparse_centers"  # it is for the proxies of soft_triple alone
]


def evaluated(loss: Any, points: Tensor, parameters: list[Tensor]) -> list[Tensor]:
    """The value and the gradients."""
    return [loss.detach(), *torch.autograd.grad(loss, [points, *parameters])]


@pytest.mark.parametrize(
    ("name", "option", "part", "dtype"),
    [
        *((*given, torch.float64) for given in GIVEN),
        # Each part in float32 with a loss of pairs and one of proxies.
        *((*given, torch.float32) for given in GIVEN if given[0] in ("contrastive", "arcface")),
    ],
)
def test_each_part_is_that_of_the_library(
    name: str, option: str, part: str, dtype: torch.dtype
) -> None:
    own = {option: {"name": part, **NEEDED.get(part, {})}}
    sizes = {"num_classes": CLASSES, "embedding_size": SIZE} if name in PROXIES else {}
    theirs = {option: get_part(KINDS[option], own[option])}
    mine: Any = theirs.pop("miner", None)
    try:
        torch.manual_seed(3)
        library = {**PAIRS, **PROXIES}[name](**sizes, **theirs).to(dtype)
    except AssertionError:  # the library refuses the distance, and so do we
        with pytest.raises(PerceptrainError, match="imilarity"):
            get_loss(name, **sizes, **own)
        return
    torch.manual_seed(3)
    loss_fn: Any = get_loss(name, **sizes, **own)
    loss_fn.to(dtype)
    points, labels = torch.randn(12, SIZE, dtype=dtype), torch.arange(12) % CLASSES
    points.requires_grad_()
    torch.manual_seed(9)  # some miners draw
    if (name, part) == ("triplet", "per_anchor"):
        with pytest.raises(PerceptrainError, match="Triplet reduction not supported"):
            loss_fn((points, labels), nn.Identity())
        return
    loss, _ = loss_fn((points, labels), nn.Identity())
    torch.manual_seed(9)
    expected = library(points, labels, None if mine is None else mine(points, labels))
    assert loss.dtype == dtype
    torch.testing.assert_close(
        evaluated(loss, points, list(loss_fn.parameters())),
        evaluated(expected, points, list(library.parameters())),
    )


def test_sparse_centres_are_those_of_the_library() -> None:
    sizes = {"num_classes": CLASSES, "embedding_size": SIZE}
    sparse = {"name": "sparse_centers", "num_classes": CLASSES, "centers_per_class": 10}
    torch.manual_seed(3)
    loss_fn: Any = get_loss("soft_triple", **sizes, weight_regularizer=sparse)
    torch.manual_seed(3)
    part = get_part("regularizer", sparse)
    library: Any = losses.SoftTripleLoss(**sizes, weight_regularizer=part)
    points, labels = torch.randn(12, SIZE, requires_grad=True), torch.arange(12) % CLASSES
    loss, _ = loss_fn((points, labels), nn.Identity())
    torch.testing.assert_close(
        evaluated(loss, points, list(loss_fn.parameters())),
        evaluated(library(points, labels), points, list(library.parameters())),
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", PROXIES)
def test_proxies_of_half_precision_are_compared_in_float32(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    loss_fn: Any = get_loss(name, num_classes=CLASSES, embedding_size=SIZE)
    loss_fn.to(dtype)
    torch.manual_seed(3)
    library: Any = PROXIES[name](num_classes=CLASSES, embedding_size=SIZE).to(dtype).float()
    points, labels = torch.randn(12, SIZE).to(dtype), torch.arange(12) % CLASSES
    loss, _ = loss_fn((points, labels), nn.Identity())
    expected = library(points.float(), labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    (own,), (other,) = loss_fn.parameters(), library.parameters()
    assert own.dtype == own.grad.dtype == dtype
    torch.testing.assert_close(own.grad, other.grad.to(dtype))
