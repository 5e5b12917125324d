"""Data sets of censored times."""
