"""Checkpoints by hand."""

from perceptrain_core.checkpoints import load_checkpoint, load_model, write_checkpoint

__all__ = ["load_checkpoint", "load_model", "write_checkpoint"]
