"""The framework behind `perceptrain`; import that, not this."""
