"""Matplotlib, which pictures need and nothing else does."""

from __future__ import annotations

from typing import Any

from perceptrain.errors import MissingDependencyError


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure, independent of pyplot; the size is in inches.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            'Pictures need matplotlib: pip install "perceptrain-forecasting[plot]".'
        ) from error
    return Figure(figsize=(width, height), layout="constrained")
