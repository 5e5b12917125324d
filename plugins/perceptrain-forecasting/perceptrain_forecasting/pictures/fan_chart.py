"""Draw forecasts of a series as a fan of intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from perceptrain.errors import ShapeError
from perceptrain_forecasting.forecasts.base import Forecast
from perceptrain_forecasting.options import check_levels
from perceptrain_forecasting.pictures.matplotlib_package import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEVELS = (0.5, 0.8, 0.95)


def fan_chart(
    forecast: Forecast,
    labels: Tensor | None = None,
    *,
    levels: Sequence[float] = _LEVELS,
    times: Sequence[Any] | None = None,
) -> Figure:
    """Draw the median and central intervals of forecasts, with the observations as dots.

    Args:
        forecast: Forecasts for N times, see `read_forecast`, of shape ``(N,)``.
        labels: The observations, of shape ``(N,)``, if they are known; NaN is left out.
        levels: The levels of the intervals, in increasing order.
        times: Where to draw each forecast, N numbers or dates; by default 0, 1, 2 and so on.

    Returns:
        A matplotlib figure, independent of pyplot.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        ConfigError: The levels are wrong, or the forecast does not have their quantiles.
        ShapeError: The forecasts have columns, or there are other numbers of labels or times.
    """
    levels = check_levels("levels", levels)
    ends = [end for level in levels for end in ((1 - level) / 2, (1 + level) / 2)]
    values = forecast.quantiles([0.5, *ends]).cpu()
    if values.ndim != 2:
        raise ShapeError(
            f"The forecasts have the shape {tuple(values.shape[:-1])} of labels; a fan chart "
            "expects (N,): draw one column at a time."
        )
    places = list(range(len(values))) if times is None else list(times)
    for name, given in {"labels": labels, "times": places}.items():
        if given is not None and len(given) != len(values):
            raise ShapeError(f"There are {len(given)} {name} for {len(values)} forecasts.")
    figure = new_figure(9, 4)
    axes = figure.subplots()
    median, *bounds = values.numpy().T
    for number in reversed(range(len(levels))):
        lower, upper = bounds[2 * number], bounds[2 * number + 1]
        shade = 0.75 * (1 - number / len(levels)) + 0.1
        label = f"{levels[number]:.0%} interval"
        axes.fill_between(places, lower, upper, color="C0", alpha=shade, lw=0, label=label)
    axes.plot(places, median, color="C1", linewidth=1, label="median")
    if labels is not None:
        observed = labels.detach().cpu().numpy().reshape(-1)
        axes.plot(places, observed, "k.", markersize=4, label="observation")
    axes.set(xlabel="time", ylabel="value")
    axes.margins(x=0.01)
    figure.legend(loc="outside lower center", ncols=len(levels) + 2, fontsize="small")
    return figure  # type: ignore[no-any-return]
