"""Measurements of Perceptrain against loops by hand and other frameworks."""
