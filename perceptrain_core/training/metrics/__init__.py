"""Metrics over a whole pass of validation or test data."""
