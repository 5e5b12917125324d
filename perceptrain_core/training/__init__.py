"""Training: the loop and what surrounds it."""

from perceptrain_core.training.trainer import Trainer

__all__ = ["Trainer"]
