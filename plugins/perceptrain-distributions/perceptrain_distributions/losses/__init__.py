"""Distances between point clouds."""
