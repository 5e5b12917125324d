"""Weightings: how the weights of a loss's terms change during training, one scheme per file."""

from perceptrain_core.weightings.base import Weighting
from perceptrain_core.weightings.support.term_gradients import TermGradients

__all__ = ["TermGradients", "Weighting"]
