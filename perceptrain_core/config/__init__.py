"""Settings, validated."""

from perceptrain_core.config.train_config import TrainConfig

__all__ = ["TrainConfig"]
