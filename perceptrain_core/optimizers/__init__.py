"""Optimizers, and the step that uses them."""

from perceptrain_core.optimizers.adam_lbfgs import AdamLBFGS
from perceptrain_core.optimizers.step import begin_epoch, needs_closure, optimize_step

__all__ = ["AdamLBFGS", "begin_epoch", "needs_closure", "optimize_step"]
