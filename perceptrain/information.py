"""Information content of loss landscapes."""

from perceptrain_core.analysis.information_content import InformationContent

__all__ = ["InformationContent"]
