"""Networks that physics-informed problems train better with."""
