"""What several losses share: none of these modules is a loss."""
