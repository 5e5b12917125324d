"""Benchmark problems with known solutions."""
