"""Losses that weight the points of each condition."""
