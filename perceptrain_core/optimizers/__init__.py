"""Optimizers, and the steps that use them."""

from perceptrain_core.optimizers.adam_lbfgs import AdamLBFGS
from perceptrain_core.optimizers.ask_tell import AskTell, ask_tell_step
from perceptrain_core.optimizers.nevergrad.optimizer import NevergradOptimizer
from perceptrain_core.optimizers.step import needs_closure, optimize_step
from perceptrain_core.schedules.rates import begin_epoch

__all__ = [
    "AdamLBFGS",
    "AskTell",
    "NevergradOptimizer",
    "ask_tell_step",
    "begin_epoch",
    "needs_closure",
    "optimize_step",
]
