"""The pictures of docs/choose_loss.md: one for each task whose losses can be drawn as curves."""

from __future__ import annotations

from math import cos, pi, sin
from typing import Any

import torch
from torch import Tensor

from pages.curves import Curves, Loss, row

_SIZE = 48


def families() -> dict[str, list[Curves]]:
    """Return the panels of each picture by its name."""
    return {
        "regression": [_regression()],
        "quantile": [_quantile(), _gaussian()],
        "counts": [_counts()],
        "classification": [_classification()],
        "binary": [_binary()],
        "imbalanced": [_imbalanced()],
        "embeddings": [_embeddings()],
        "segmentation": [_segmentation()],
        "distributions": [_distributions()],
    }


def _plain(*names: str, **options: Any) -> dict[str, Loss]:
    return {name: (name, options) for name in names}


def _regression() -> Curves:
    lines: dict[str, Loss] = {
        **_plain("mse", "l1"),
        "huber, delta=1": ("huber", {"delta": 1.0}),
        "smooth_l1, beta=0.5": ("smooth_l1", {"beta": 0.5}),
    }
    return Curves(lines, lambda x: (row(x), row(0)), -2.5, 2.5, "output minus label")


def _quantile() -> Curves:
    lines: dict[str, Loss] = {f"q = {q}": ("quantile", {"quantiles": q}) for q in (0.1, 0.5, 0.9)}
    return Curves(lines, lambda x: (row(x), row(0)), -2, 2, "output minus label")


def _gaussian() -> Curves:
    variances = (0.25, 1.0, 4.0)
    lines: dict[str, Loss] = {f"variance {v:g}": ("gaussian_nll", {}) for v in variances}
    batches = {f"variance {v:g}": lambda x, v=v: ((row(x), row(v)), row(0)) for v in variances}
    return Curves(lines, batches, -4, 4, "mean minus label")


def _counts() -> Curves:
    counts = (1, 3, 8)
    lines: dict[str, Loss] = {
        f"count {n}": ("poisson_nll", {"log_input": False, "full": False}) for n in counts
    }
    batches = {f"count {n}": lambda x, n=n: (row(x), row(n)) for n in counts}
    return Curves(lines, batches, 0.2, 15, "predicted rate")


def _classification() -> Curves:
    label = torch.tensor([0])
    return Curves(
        _plain("cross_entropy", "class_focal", "multi_margin", "bi_tempered"),
        lambda x: (torch.tensor([[x, 0.0]]), label),
        *(-5, 5, "logit of the right class minus the other"),
    )  # fmt: skip


def _binary() -> Curves:
    return Curves(
        _plain("bce_with_logits", "binary_focal", "soft_f1"),
        lambda x: (row(x), row(1)), -4, 4, "logit of a positive row",
    )  # fmt: skip


def _imbalanced() -> Curves:
    lines: dict[str, Loss] = {
        f"gamma = {gamma}": ("binary_focal", {"gamma": gamma}) for gamma in (0.0, 1.0, 2.0, 5.0)
    }
    return Curves(lines, lambda x: (row(x), row(1)), -2.5, 4, "logit of a positive row")


def _embeddings() -> Curves:
    def batch(degrees: float) -> tuple[Tensor, Tensor]:
        half = degrees * pi / 360
        angles = (half, -half, pi + half, pi - half)
        return torch.tensor([[cos(a), sin(a)] for a in angles]), torch.tensor([0, 0, 1, 1])

    lines = _plain("triplet", "contrastive", "supcon", "multi_similarity", "circle")
    return Curves(lines, batch, 0, 150, "angle between vectors of one class, degrees", True)


def _segmentation() -> Curves:
    def batch(shift: float) -> tuple[Tensor, Tensor]:
        return 8 * (2 * _disc(12 + shift) - 1), (_disc(12) > 0.5).long()

    return Curves(
        _plain("dice", "focal", "boundary", "hausdorff_dt"),
        batch, 0, 24, "distance of the predicted disc, pixels", True, points=25,
    )  # fmt: skip


def _disc(center: float) -> Tensor:
    """Return an image of shape (1, 1, 48, 48) with a disc of radius 6, ones inside."""
    y, x = torch.meshgrid(torch.arange(_SIZE), torch.arange(_SIZE), indexing="ij")
    distance = ((x - center) ** 2 + (y - _SIZE / 2) ** 2).sqrt()
    return (6.5 - distance).clamp(0, 1)[None, None]


def _distributions() -> Curves:
    cloud = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    other = torch.randn(64, 2, generator=torch.Generator().manual_seed(1))
    lines: dict[str, Loss] = {
        **_plain("sinkhorn", "energy"),
        "gaussian_mmd, blur=1": ("gaussian_mmd", {"blur": 1.0}),
        "laplacian_mmd, blur=1": ("laplacian_mmd", {"blur": 1.0}),
    }

    def batch(shift: float) -> tuple[Tensor, Tensor]:
        return cloud + torch.tensor([shift, 0.0]), other

    return Curves(lines, batch, 0, 8, "distance of the clouds", True, points=33)
