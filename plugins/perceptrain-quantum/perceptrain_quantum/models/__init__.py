"""Circuits as models, one file each."""
