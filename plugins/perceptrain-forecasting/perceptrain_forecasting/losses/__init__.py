"""Scoring rules as losses."""
