"""Optimizers that torch does not have, one per file."""

from perceptrain_core.optimizers.adam_lbfgs import AdamLBFGS
from perceptrain_core.optimizers.ask_tell import AskTell
from perceptrain_core.optimizers.combined import CombinedOptimizer
from perceptrain_core.optimizers.gauss_newton import GaussNewton
from perceptrain_core.optimizers.groups import parameter_groups
from perceptrain_core.optimizers.nevergrad.optimizer import NevergradOptimizer
from perceptrain_core.optimizers.sequential import SequentialOptimizer
from perceptrain_core.optimizers.ssbroyden import SSBroyden

__all__ = [
    "AdamLBFGS",
    "AskTell",
    "CombinedOptimizer",
    "GaussNewton",
    "NevergradOptimizer",
    "SSBroyden",
    "SequentialOptimizer",
    "parameter_groups",
]
