"""Forecasts that are read from the outputs of a model."""
