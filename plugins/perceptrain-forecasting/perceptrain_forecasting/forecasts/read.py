"""Read a forecast from the outputs of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from perceptrain import check_choice
from perceptrain.errors import ConfigError
from perceptrain_forecasting.families.by_name import FAMILIES
from perceptrain_forecasting.forecasts.base import Forecast
from perceptrain_forecasting.forecasts.of_family import FamilyForecast
from perceptrain_forecasting.forecasts.of_members import MembersForecast
from perceptrain_forecasting.forecasts.of_quantiles import QuantilesForecast
from perceptrain_forecasting.options import check_levels, check_whole

MEMBERS, QUANTILES = "members", "quantiles"


def read_forecast(
    outputs: Any,
    forecast: str = "normal",
    *,
    quantiles: Sequence[float] | None = None,
    columns: int | None = None,
) -> Forecast:
    """Read a forecast from the outputs of a model, to ask for quantiles, means and scores.

    Args:
        outputs: What the model returned for N rows.
        forecast: What the outputs are: the name of a distribution, as for the loss ``crps``;
            "members"; or "quantiles".
        quantiles: For "quantiles", their levels in increasing order.
        columns: The columns D of the labels, for results of shape ``(N, D)``; by default the labels
            have shape ``(N,)``.

    Raises:
        ConfigError: An option has a wrong value.
        ShapeError: The outputs have another shape.
        DataError: A parameter of a distribution is impossible, or there are too few members.
    """
    check_forecast(forecast, quantiles)
    if columns is not None:
        check_whole("columns", columns, 1)
    first = outputs[0] if isinstance(outputs, tuple | list) and outputs else outputs
    shape = torch.Size([len(first)] if columns is None else [len(first), columns])
    return forecast_of(outputs, forecast, quantiles, shape)


def forecast_of(
    outputs: Any, forecast: str, quantiles: Sequence[float] | None, shape: torch.Size
) -> Forecast:
    """Return a forecast for labels of some shape; the options are checked already."""
    if forecast == MEMBERS:
        return MembersForecast(outputs, shape)
    if forecast == QUANTILES:
        return QuantilesForecast(outputs, shape, quantiles or ())
    return FamilyForecast(FAMILIES[forecast], outputs, shape)


def check_forecast(forecast: str, quantiles: Sequence[float] | None) -> None:
    """Check the options that say what the outputs of a model are.

    Raises:
        ConfigError: There is no such forecast; or the levels are missing or wrong, or needless.
    """
    check_choice("forecast", forecast, (*FAMILIES, MEMBERS, QUANTILES))
    if forecast == QUANTILES:
        check_levels("quantiles", quantiles)
    elif quantiles is not None:
        raise ConfigError(
            f"quantiles={quantiles!r} is for forecast='quantiles', not for {forecast!r}: leave it "
            "out."
        )
