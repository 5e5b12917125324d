"""The command line: ``perceptrain``."""
