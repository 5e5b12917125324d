"""Metrics of survival analysis over a whole data set."""
