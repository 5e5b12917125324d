"""Gradients of the terms of a loss, for the weightings that use them."""
