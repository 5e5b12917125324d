"""Comparisons: many runs of one run file, their figures in one table, and a list of runs."""
