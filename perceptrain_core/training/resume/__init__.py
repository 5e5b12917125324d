"""Saving a run in a checkpoint and resuming it."""
