"""Conversions between numbers, arrays and tensors."""

from perceptrain_core.tensors import numpy_to_tensor, promote_to, promote_to_tensor

__all__ = ["numpy_to_tensor", "promote_to", "promote_to_tensor"]
