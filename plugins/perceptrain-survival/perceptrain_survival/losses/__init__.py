"""Losses for censored times."""
