"""Sums of squares: derivatives of residuals, and steps of linear least-squares problems."""
