"""What a run gave, in pictures and numbers, and what the landscape of its loss is like."""
