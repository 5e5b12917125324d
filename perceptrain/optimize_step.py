"""Kept for users of perceptrain 0.1.0, see `perceptrain.kept_paths`: the optimization step."""

from perceptrain_core.training.steppers.optimize_step import optimize_step

default_optimize_step = optimize_step

__all__ = ["default_optimize_step", "optimize_step"]
