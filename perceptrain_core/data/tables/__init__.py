"""Tables: read columns, and prepare them for a model."""
