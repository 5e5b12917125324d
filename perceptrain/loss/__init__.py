"""Kept for users of perceptrain 0.1.0, see `perceptrain.kept_paths`: losses."""

from perceptrain.loss import loss as loss
from perceptrain_core.losses import GradWeightedLoss, cross_entropy_loss, mse_loss
from perceptrain_core.registry import get_loss

__all__ = ["GradWeightedLoss", "cross_entropy_loss", "mse_loss", "get_loss"]
