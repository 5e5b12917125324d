"""The position in a stream of data: how to record it and how to restore it."""
