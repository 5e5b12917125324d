"""Quantum circuits as models."""
