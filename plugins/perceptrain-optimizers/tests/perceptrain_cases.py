"""Cases for ``pytest --perceptrain-plugin perceptrain-optimizers``."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def case(kind: str, name: str) -> dict[str, Any]:
    """Return the batch and the options of a loss."""
    if kind != "loss":
        return {}
    x = torch.randn(24, 2)
    if name in ("binary_focal", "soft_f1"):
        return {"batch": (x, (x[:, :1] > 0).float()), "model": nn.Linear(2, 1)}
    options = {"counts": [12, 8, 4]} if name == "ldam" else {}
    return {"options": options, "batch": (x, torch.arange(24) % 3), "model": nn.Linear(2, 3)}
