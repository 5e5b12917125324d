"""Optimizers that torch does not have."""

from perceptrain.optimizers import adam_lbfgs as adam_lbfgs
from perceptrain_core.optimizers import AdamLBFGS, AskTell, NevergradOptimizer
from perceptrain_core.training.steppers.candidates import ask_tell_step

__all__ = ["AdamLBFGS", "AskTell", "NevergradOptimizer", "ask_tell_step"]
