"""Kept for users of perceptrain 0.1.0, see `perceptrain.kept_paths`: parameters as one vector."""

from perceptrain_core.models import get_parameters, num_parameters, set_parameters

__all__ = ["get_parameters", "num_parameters", "set_parameters"]
