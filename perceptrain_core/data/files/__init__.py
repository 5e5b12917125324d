"""Data from files: tables, splits and scaling."""
