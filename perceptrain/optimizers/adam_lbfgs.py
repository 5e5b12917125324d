"""Kept for users of perceptrain 0.1.0, see `perceptrain.kept_paths`: Adam, then L-BFGS."""

from perceptrain_core.optimizers import AdamLBFGS

__all__ = ["AdamLBFGS"]
