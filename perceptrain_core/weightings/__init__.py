"""Weightings: the weights of a loss's terms. Each is in a file of its name."""

from perceptrain_core.weightings.base import Gradients, Terms, Weighting, weighted_sum
from perceptrain_core.weightings.support.term_gradients import TermGradients

__all__ = ["Gradients", "TermGradients", "Terms", "Weighting", "weighted_sum"]
