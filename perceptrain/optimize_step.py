"""One step of optimisation."""

from perceptrain_core.optimizers import optimize_step

__all__ = ["optimize_step"]
