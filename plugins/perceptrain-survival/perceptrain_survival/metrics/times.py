"""The times at which curves are compared, and the weights of the rows there."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from perceptrain.errors import ConfigError, DataError
from perceptrain_survival.curves.kaplan_meier import kaplan_meier
from perceptrain_survival.labels import SurvivalLabels
from perceptrain_survival.time_lists import numbers_of


def check_times(name: str, times: Any, fewest: int = 1) -> tuple[float, ...] | None:
    """Check an option that is a list or an array of increasing times, or ``None``.

    Raises:
        ConfigError: It is something else.
    """
    if times is None:
        return None
    given = numbers_of(times)
    if len(given) < fewest or given[0] <= 0 or sorted(set(given)) != given:
        raise ConfigError(
            f"{name}={times!r:.80}: expected {fewest} or more increasing times above 0, such as "
            "[1, 2, 5]."
        )
    return tuple(given)


def round_times(times: Tensor, labels: SurvivalLabels) -> Tensor:
    """Return increasing times as float64, rounded as the labels are, to find those equal to one."""
    rounded: Tensor = torch.unique(times.to(labels.time.dtype))
    return rounded.double()


def require_observed(times: Tensor, labels: SurvivalLabels) -> None:
    """Raise unless there are events up to each time, and rows that are observed after it.

    Raises:
        DataError: There are none, or there is no time.
    """
    first, last = labels.time[labels.event].min().item(), labels.time.max().item()
    if not len(times):
        raise DataError(
            f"No time can be evaluated: no row is observed after the events of the {len(labels)} "
            f"evaluated rows, from the time {first:g} to {last:g}. Evaluate more rows."
        )
    wrong = times[(times < first) | (times >= last)]
    if len(wrong):
        raise DataError(
            f"Nothing is known at the time {wrong[0].item():g}: the first event of the "
            f"{len(labels)} evaluated rows has the time {first:g}, and the last row is observed "
            f"until {last:g}. Choose times between them, or evaluate more rows."
        )


def censoring_weights(labels: SurvivalLabels) -> Tensor:
    """Return one over the probability of not being censored up to the time of each row, ``(N,)``.

    It stands for the similar rows that were censored before (inverse probability of censoring
    weights, IPCW). Where the probability is 0, at the last time alone, the weight is 0.
    """
    return _inverse(kaplan_meier(labels, censoring=True)(labels.time))


def censoring_weights_at(times: Tensor, labels: SurvivalLabels) -> Tensor:
    """Return one over the probability of not being censored up to each time, ``(T,)``."""
    return _inverse(kaplan_meier(labels, censoring=True)(times))


def _inverse(probability: Tensor) -> Tensor:
    return torch.where(probability > 0, 1 / probability, 0.0)
