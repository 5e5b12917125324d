"""Gradient-free search with nevergrad (an extra)."""
