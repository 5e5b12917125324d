"""Optimizers, by family."""
