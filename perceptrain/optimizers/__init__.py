"""Optimizers that torch does not have."""

from perceptrain.optimizers import adam_lbfgs as adam_lbfgs
from perceptrain_core.optimizer_steps import can_be_part
from perceptrain_core.optimizers import (
    AdamLBFGS,
    AskTell,
    CombinedOptimizer,
    GaussNewton,
    NevergradOptimizer,
    SequentialOptimizer,
    SSBroyden,
    parameter_groups,
)
from perceptrain_core.random_state import same_random_numbers
from perceptrain_core.training.steppers.candidates import ask_tell_step

__all__ = [
    "AdamLBFGS",
    "AskTell",
    "CombinedOptimizer",
    "GaussNewton",
    "NevergradOptimizer",
    "SSBroyden",
    "SequentialOptimizer",
    "ask_tell_step",
    "can_be_part",
    "parameter_groups",
    "same_random_numbers",
]
