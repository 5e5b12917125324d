"""Metrics of forecasts over a whole data set."""
