"""Kept for users of perceptrain 0.1.0, see `perceptrain.kept_paths`: devices and processes."""

from perceptrain.train_utils import accelerator as accelerator
from perceptrain_core.engine import Accelerator

__all__ = ["Accelerator"]
