"""Kept for users of perceptrain 0.1.0, see `perceptrain.kept_paths`: checkpoints."""

from perceptrain_core.checkpoints import load_checkpoint, load_model, write_checkpoint

__all__ = ["load_checkpoint", "load_model", "write_checkpoint"]
