"""Losses for unbalanced classes and wrong labels."""
