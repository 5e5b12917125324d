"""Survival analysis: losses, metrics and curves of censored times. It imports no torch."""

from __future__ import annotations

from perceptrain import Spec, hookimpl, lazy_exports

with lazy_exports(__name__):
    from perceptrain_survival.curves.breslow import BreslowBaseline as BreslowBaseline
    from perceptrain_survival.curves.kaplan_meier import kaplan_meier as kaplan_meier
    from perceptrain_survival.curves.step_function import StepFunction as StepFunction
    from perceptrain_survival.curves.survival_run import SurvivalModel as SurvivalModel
    from perceptrain_survival.curves.survival_run import survival_run as survival_run
    from perceptrain_survival.data.gbsg2 import gbsg2 as gbsg2
    from perceptrain_survival.data.weibull_times import weibull_times as weibull_times
    from perceptrain_survival.labels import SurvivalLabels as SurvivalLabels
    from perceptrain_survival.labels import survival_labels as survival_labels
    from perceptrain_survival.losses.base import SurvivalLoss as SurvivalLoss
    from perceptrain_survival.losses.cox import CoxLoss as CoxLoss
    from perceptrain_survival.losses.hazard import HazardLoss as HazardLoss
    from perceptrain_survival.losses.weibull import WeibullLoss as WeibullLoss
    from perceptrain_survival.metrics.brier_score import BrierScore as BrierScore
    from perceptrain_survival.metrics.concordance_index import ConcordanceIndex as ConcordanceIndex
    from perceptrain_survival.metrics.integrated_brier_score import (
        IntegratedBrierScore as IntegratedBrierScore,
    )
    from perceptrain_survival.metrics.time_auc import TimeAUC as TimeAUC


@hookimpl
def perceptrain_losses() -> list[Spec]:
    """Offer the losses."""
    return [
        Spec(
            "cox",
            CoxLoss,
            "Cox partial likelihood. Batch: (inputs, events with times).",
        ),
        Spec(
            "hazard",
            HazardLoss,
            "Likelihood of a hazard of any shape. Batch: (inputs, events with times).",
        ),
        Spec(
            "weibull",
            WeibullLoss,
            "Weibull likelihood. Batch: (inputs, events with times).",
        ),
    ]


@hookimpl
def perceptrain_metrics() -> list[Spec]:
    """Offer the metrics."""
    return [
        Spec("brier_score", BrierScore, "Squared error of survival at one time, by IPCW (Graf)."),
        Spec(
            "concordance_index",
            ConcordanceIndex,
            "Share of pairs of rows that are ordered correctly (Harrell; Uno, by IPCW).",
        ),
        Spec(
            "integrated_brier_score",
            IntegratedBrierScore,
            "Squared error of survival, averaged over time, by IPCW (Graf).",
        ),
        Spec(
            "time_auc",
            TimeAUC,
            "AUC of the risk of an event up to a time, by IPCW (Uno); or its mean over times.",
        ),
    ]


@hookimpl
def perceptrain_datasets() -> list[Spec]:
    """Offer the data sets."""
    return [
        Spec("gbsg2", gbsg2, "Recurrence of breast cancer: 686 patients, 299 events."),
        Spec("weibull_times", weibull_times, "Random times with a known hazard, censored."),
    ]
