"""A loss that keeps the contract, for others to spoil."""

from __future__ import annotations

from torch.nn import functional as F

ROWS = 6


def good(batch, model):
    loss = F.mse_loss(model(batch[0]), batch[1])
    return loss, {"twice": 2 * loss.detach()}
