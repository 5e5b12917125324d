"""Optimizers beside those of torch."""

from perceptrain_core.optimizers import AdamLBFGS

__all__ = ["AdamLBFGS"]
