"""Cases for ``pytest --perceptrain-plugin perceptrain-segmentation``."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def case(kind: str, name: str) -> dict[str, Any]:
    """Return small images with three classes, and a model for them."""
    if kind == "metric":
        return {"preds": torch.randn(12, 3, 8, 8), "target": torch.randint(0, 3, (12, 8, 8))}
    batch = torch.randn(2, 1, 8, 8), torch.randint(0, 3, (2, 8, 8))
    return {"batch": batch, "model": nn.Conv2d(1, 3, 3, padding=1)}
