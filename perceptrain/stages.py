"""Kept for users of perceptrain 0.1.0, see `perceptrain.kept_paths`: the stages of training."""

from perceptrain_core.types import TrainingStage

__all__ = ["TrainingStage"]
