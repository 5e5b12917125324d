"""Kept for users of perceptrain 0.1.0, see `perceptrain.kept_paths`: trackers."""

from perceptrain_core.callbacks import get_writer

__all__ = ["get_writer"]
