"""Pictures of metrics that are not a number, such as a confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any

from torch import nn

from perceptrain_core.metrics import Metric
from perceptrain_core.trackers.figures import PlottingFunctions


def metric_pictures(
    metrics: Mapping[str, Metric], values: Mapping[str, Any], prefix: str
) -> PlottingFunctions:
    """Return a plotting function for each metric that has a picture of its value.

    Args:
        metrics: The metrics by label. One that can draw has ``plot(value)``, which returns a
            figure, or a figure and axes as in torchmetrics.
        values: The values by name, prefix included.
        prefix: ``"val"`` or ``"test"``.

    Returns:
        The functions; none if matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        return ()
    named = {f"{prefix}_{label}": metric for label, metric in metrics.items()}
    return tuple(
        partial(_draw, name, metric, values[name])
        for name, metric in named.items()
        if name in values and hasattr(metric, "plot")
    )


def _draw(name: str, metric: Any, value: Any, model: nn.Module, iteration: int) -> tuple[str, Any]:
    drawn = metric.plot(value)
    return name, drawn[0] if isinstance(drawn, tuple) else drawn
