"""The losses of MONAI, each with its options under their own names."""
