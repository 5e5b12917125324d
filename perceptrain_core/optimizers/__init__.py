"""Optimizers, and the step that uses them."""

from perceptrain_core.optimizers.step import needs_closure, optimize_step

__all__ = ["needs_closure", "optimize_step"]
