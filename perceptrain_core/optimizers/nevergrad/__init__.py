"""Gradient-free optimization with nevergrad, an optional dependency."""
