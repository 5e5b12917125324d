"""Splits, folds and the scaling of tensors."""
