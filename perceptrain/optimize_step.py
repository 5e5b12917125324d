"""One step of optimisation."""

from perceptrain_core.training.steppers.optimize_step import optimize_step

__all__ = ["optimize_step"]
