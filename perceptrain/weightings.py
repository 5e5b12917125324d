"""What the author of a weighting needs."""

from perceptrain_core.weightings import TermGradients, Weighting

__all__ = ["TermGradients", "Weighting"]
