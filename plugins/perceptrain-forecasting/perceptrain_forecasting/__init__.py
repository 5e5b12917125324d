"""Probabilistic forecasts: scoring rules as losses, metrics of calibration, and pictures.

Importing this package imports neither torch nor scoringrules.
"""

from __future__ import annotations

from perceptrain import Spec, hookimpl, lazy_exports

with lazy_exports(__name__):
    from perceptrain_forecasting.data.series_windows import SeriesWindows as SeriesWindows
    from perceptrain_forecasting.data.series_windows import series_windows as series_windows
    from perceptrain_forecasting.forecasts.base import Forecast as Forecast
    from perceptrain_forecasting.forecasts.read import read_forecast as read_forecast
    from perceptrain_forecasting.losses.base import ForecastLoss as ForecastLoss
    from perceptrain_forecasting.losses.crps import CRPSLoss as CRPSLoss
    from perceptrain_forecasting.losses.crps_ensemble import CRPSEnsembleLoss as CRPSEnsembleLoss
    from perceptrain_forecasting.losses.dawid_sebastiani import (
        DawidSebastianiLoss as DawidSebastianiLoss,
    )
    from perceptrain_forecasting.losses.energy_score import EnergyScoreLoss as EnergyScoreLoss
    from perceptrain_forecasting.losses.interval_score import IntervalScoreLoss as IntervalScoreLoss
    from perceptrain_forecasting.losses.log_score import LogScoreLoss as LogScoreLoss
    from perceptrain_forecasting.losses.variogram_score import (
        VariogramScoreLoss as VariogramScoreLoss,
    )
    from perceptrain_forecasting.losses.weighted_interval_score import (
        WeightedIntervalScoreLoss as WeightedIntervalScoreLoss,
    )
    from perceptrain_forecasting.metrics.base import ForecastMetric as ForecastMetric
    from perceptrain_forecasting.metrics.coverage import Coverage as Coverage
    from perceptrain_forecasting.metrics.interval_width import IntervalWidth as IntervalWidth
    from perceptrain_forecasting.metrics.mean_crps import MeanCRPS as MeanCRPS
    from perceptrain_forecasting.metrics.pit_calibration_error import (
        PITCalibrationError as PITCalibrationError,
    )
    from perceptrain_forecasting.metrics.quantile_score import QuantileScore as QuantileScore
    from perceptrain_forecasting.metrics.spread_skill_ratio import (
        SpreadSkillRatio as SpreadSkillRatio,
    )
    from perceptrain_forecasting.pictures.calibration import calibration_plot as calibration_plot
    from perceptrain_forecasting.pictures.fan_chart import fan_chart as fan_chart


@hookimpl
def perceptrain_losses() -> list[Spec]:
    """Offer the losses."""
    return [
        Spec("crps", CRPSLoss, "CRPS of a distribution. Batch: (inputs, labels)."),
        Spec("crps_ensemble", CRPSEnsembleLoss, "CRPS of members. Batch: (inputs, labels)."),
        Spec(
            "dawid_sebastiani",
            DawidSebastianiLoss,
            "Mean and covariance of members, scored. Batch: (inputs, labels).",
        ),
        Spec(
            "energy_score",
            EnergyScoreLoss,
            "CRPS of several columns together, of members. Batch: (inputs, labels).",
        ),
        Spec(
            "interval_score",
            IntervalScoreLoss,
            "Winkler score of an interval. Batch: (inputs, labels).",
        ),
        Spec(
            "log_score",
            LogScoreLoss,
            "Negative log density of a distribution. Batch: (inputs, labels).",
        ),
        Spec(
            "variogram_score",
            VariogramScoreLoss,
            "Differences between columns, of members. Batch: (inputs, labels).",
        ),
        Spec(
            "weighted_interval_score",
            WeightedIntervalScoreLoss,
            "A median and intervals (arXiv 2005.12881). Batch: (inputs, labels).",
        ),
    ]


@hookimpl
def perceptrain_metrics() -> list[Spec]:
    """Offer the metrics."""
    return [
        Spec("coverage", Coverage, "Share of labels inside the central interval."),
        Spec("interval_width", IntervalWidth, "Mean width of the central interval."),
        Spec("mean_crps", MeanCRPS, "Mean CRPS of distributions, members or quantiles."),
        Spec(
            "pit_calibration_error",
            PITCalibrationError,
            "Mean distance of the distribution of PIT values from the uniform one.",
        ),
        Spec("quantile_score", QuantileScore, "Mean pinball loss at given levels."),
        Spec(
            "spread_skill_ratio",
            SpreadSkillRatio,
            "Root of the mean variance over the RMSE of the mean; 1 is ideal.",
        ),
    ]


@hookimpl
def perceptrain_datasets() -> list[Spec]:
    """Offer the data sets."""
    return [Spec("series_windows", series_windows, "Windows of a series in a CSV file, in order.")]
