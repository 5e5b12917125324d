"""Kept for users of perceptrain 0.1.0, see `perceptrain.kept_paths`: information content."""

from perceptrain.information import information_content as information_content
from perceptrain_core.analysis.information_content import InformationContent

__all__ = ["InformationContent"]
