"""Predictions of a trained model, from rows as they come."""
