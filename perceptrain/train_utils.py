"""Devices and processes for a training loop of one's own."""

from perceptrain_core.engine import Accelerator

__all__ = ["Accelerator"]
