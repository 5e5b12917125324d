"""The losses of the plugin. This file is imported when one of them is used."""

import torch


def cauchy(batch, model, *, scale: float = 1.0):
    """Cauchy loss: log(1 + (error / scale)^2). Batch: (inputs, labels)."""
    x, y = batch
    return torch.log1p(((model(x) - y) / scale) ** 2).mean(), {}
