"""A weighting a file."""
