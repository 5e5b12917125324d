"""Network architectures for physics-informed problems."""
