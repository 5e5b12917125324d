"""What several loaders and data sets share: none of these modules is one itself."""
