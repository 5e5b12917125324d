"""Helpers of the weightings: gradients of single terms, and older spellings of options."""
