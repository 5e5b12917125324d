"""The base class of weightings, for authors of weightings."""

from perceptrain_core.weightings import TermGradients, Weighting

__all__ = ["TermGradients", "Weighting"]
