"""Cases for ``pytest --perceptrain-plugin perceptrain-forecasting``."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from perceptrain import get_loss


def case(kind: str, name: str) -> dict[str, Any]:
    """Return labels of two columns, and a model or outputs for them."""
    if kind == "metric":
        return {"preds": torch.randn(12, 4), "target": torch.randn(12, 2)}
    batch = torch.randn(8, 3), torch.randn(8, 2)
    return {"batch": batch, "model": nn.Linear(3, get_loss(name).output_size(2))}
