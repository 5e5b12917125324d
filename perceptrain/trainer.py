"""The trainer."""

from perceptrain_core.training import Trainer

__all__ = ["Trainer"]
