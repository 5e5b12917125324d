"""Draw whether forecasts are calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from perceptrain_forecasting.checks import check_labels
from perceptrain_forecasting.forecasts.read import check_forecast, forecast_of
from perceptrain_forecasting.forecasts.uniform import share_below
from perceptrain_forecasting.options import check_whole
from perceptrain_forecasting.pictures.matplotlib_package import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@torch.no_grad()
def calibration_plot(
    outputs: Any,
    labels: Tensor,
    forecast: str = "normal",
    *,
    quantiles: Sequence[float] | None = None,
    bins: int = 10,
) -> Figure:
    """Draw the PIT histogram and the reliability diagram of forecasts.

    In the histogram, calibrated forecasts have bars of height 1; a U shape says that they are too
    narrow, a hump that they are too wide, and a slope that they are too high or too low. The
    diagram shows the share of labels below each quantile, on the diagonal if calibrated.

    Args:
        outputs: What the model returned.
        labels: Shape ``(N,)`` or ``(N, D)``; all columns are drawn together.
        forecast: What the outputs are: the name of a distribution, "members" or "quantiles".
        quantiles: For "quantiles", their levels in increasing order.
        bins: The bars of the histogram; for "quantiles" there is one between any two levels.

    Returns:
        A matplotlib figure, independent of pyplot.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        ConfigError: An option has a wrong value.
        ShapeError: Outputs and labels do not fit.
        DataError: A label is NaN.
    """
    check_forecast(forecast, quantiles)
    check_whole("bins", bins, 2)
    labels = check_labels(labels).double()
    read = forecast_of(outputs, forecast, quantiles, labels.shape)
    inner = [k / bins for k in range(1, bins)] if quantiles is None else list(quantiles)
    edges = labels.new_tensor([0.0, *inner, 1.0])
    shares = share_below(*read.pit(labels), edges).reshape(-1, len(edges)).mean(0)
    shares[0], shares[-1] = 0.0, 1.0  # a label beyond all of the forecast is in an outer bar
    figure = new_figure(9, 4)
    left, right = figure.subplots(1, 2)
    widths = edges.diff()
    heights = (shares.diff() / widths).tolist()
    left.bar(edges[:-1].tolist(), heights, widths.tolist(), align="edge", ec="white", fc="C0")
    left.axhline(1, color="black", linestyle="--", linewidth=1, label="calibrated")
    left.set(xlabel="probability integral transform", ylabel="density", xlim=(0, 1))
    left.set_title("PIT histogram")
    left.legend()
    right.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1, label="calibrated")
    below = read.share_below(labels, inner).reshape(-1, len(inner)).mean(0).tolist()
    right.plot(edges.tolist(), [0.0, *below, 1.0], color="C0", marker="o", label="forecast")
    right.set(xlabel="level of the quantile", ylabel="share of labels below", xlim=(0, 1))
    right.set(ylim=(0, 1), aspect="equal", title="Reliability diagram")
    right.legend()
    return figure  # type: ignore[no-any-return]
