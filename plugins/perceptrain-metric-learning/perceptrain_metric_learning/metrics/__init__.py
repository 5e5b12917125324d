"""Metrics of retrieval over a whole data set."""
