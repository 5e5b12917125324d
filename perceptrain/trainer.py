"""Kept for users of perceptrain 0.1.0, see `perceptrain.kept_paths`: the trainer."""

from perceptrain_core.training import Trainer

__all__ = ["Trainer"]
