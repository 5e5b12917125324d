"""Metrics of segmentation over a whole data set."""
