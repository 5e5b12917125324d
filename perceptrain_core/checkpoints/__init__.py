"""Checkpoints: one file each, atomic, safe to load."""

from perceptrain_core.checkpoints.saveload import load_checkpoint, load_model, write_checkpoint

__all__ = ["load_checkpoint", "load_model", "write_checkpoint"]
