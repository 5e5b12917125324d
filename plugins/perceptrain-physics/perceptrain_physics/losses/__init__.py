"""Losses that weigh the points of a condition against each other."""
