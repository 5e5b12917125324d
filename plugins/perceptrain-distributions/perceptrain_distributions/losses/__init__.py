"""Losses that compare point clouds."""
