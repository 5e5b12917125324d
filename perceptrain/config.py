"""Settings."""

from perceptrain_core.config import TrainConfig

__all__ = ["TrainConfig"]
