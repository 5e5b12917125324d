"""A training step as one compiled graph: what it reaches, tracing, compiling, comparing."""
