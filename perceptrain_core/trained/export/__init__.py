"""Trained runs as files that predict without Perceptrain."""
