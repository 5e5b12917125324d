"""A trained run in use: predictions, tests and exported files from its folder."""
