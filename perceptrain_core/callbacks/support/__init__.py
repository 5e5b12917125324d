"""What several callbacks share: none of these modules is a callback."""
