"""The loss contract: the checks on what a loss returns, in every batch."""
