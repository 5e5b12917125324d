"""Kept for users of perceptrain 0.1.0, see `perceptrain.kept_paths`: the configuration."""

from perceptrain_core.config import TrainConfig

__all__ = ["TrainConfig"]
