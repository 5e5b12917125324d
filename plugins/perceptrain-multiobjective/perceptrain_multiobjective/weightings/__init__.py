"""Weightings, one per file."""
