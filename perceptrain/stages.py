"""The stages of training."""

from perceptrain_core.types import TrainingStage

__all__ = ["TrainingStage"]
