"""What a run gave: pictures and numbers."""
