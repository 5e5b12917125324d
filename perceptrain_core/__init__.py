"""The framework behind :mod:`perceptrain`; import that, not this."""
