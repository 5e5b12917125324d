"""Cases for ``pytest --perceptrain-plugin perceptrain-metric-learning``."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from perceptrain import registry


def case(kind: str, name: str) -> dict[str, Any]:
    """Return four classes, a model with embeddings of size 5, and the options of proxies."""
    if kind == "metric":
        return {"preds": torch.randn(24, 5), "target": torch.arange(24) % 4}
    sizes = {"num_classes": 4, "embedding_size": 5}
    known = registry().losses[name].options()
    return {
        "options": {option: size for option, size in sizes.items() if option in known},
        "batch": (torch.randn(24, 6), torch.arange(24) % 4),
        "model": nn.Linear(6, 5),
    }
