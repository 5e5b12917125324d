"""Parametric distributions: how a model describes them, and their scores."""
