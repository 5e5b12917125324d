"""One metric, watched: whether it gets better, and for how long it has not."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from difflib import get_close_matches
from math import inf, isinf
from typing import Any

from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CallbackError
from perceptrain_core.types import OptimizeResult, TrainingStage

_WORST = {"min": inf, "max": -inf}


class MetricMonitor:
    """Compare the values of a metric with the best so far.

    Args:
        owner: Who watches, for messages.
        name: The metric: ``"train_loss"``, ``"val_loss"``, ``"train_NAME"``, ...
        mode: ``"min"`` if lower is better, ``"max"`` if higher is.
        margin: A value is better only if it is so by more than this.
        relative: Whether the margin is a share of the best value.

    Attributes:
        best: The best value so far; at first infinite, on the side that anything is better than.
        since: How many values have come since the best one.
        seen: Whether the metric was ever there.

    Raises:
        CallbackError: A mode or a name that is none.
    """

    def __init__(
        self, owner: str, name: str, mode: str, margin: float, relative: bool = False
    ) -> None:
        if not isinstance(name, str):
            raise CallbackError(f"monitor must be the name of a metric, not {name!r}.")
        if not isinstance(mode, str) or mode not in _WORST:
            raise CallbackError(
                f"mode must be 'min' (lower is better) or 'max' (higher is better), not {mode!r}."
            )
        self.owner = owner
        self.name = name
        self.mode = mode
        self.margin = margin
        self.relative = relative
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self.best: float = _WORST[self.mode]
        self.since = 0
        self.seen = False

    def read(self, result: OptimizeResult, on: TrainingStage, config: TrainConfig) -> float | None:
        """Give the value of the metric, or ``None`` where it may still come.

        Raises:
            CallbackError: This run does not have the metric.
        """
        metrics = _metrics(result, on)
        if self.name in metrics:
            self.seen = True
            return float(metrics[self.name])
        if self.seen or self._comes_later(metrics, on, config):
            return None
        raise CallbackError(self._unknown(metrics, config))

    def is_improved_by(self, value: float) -> bool:
        """Take a value; say whether it is the best so far. NaN never is."""
        share = self.margin * (abs(self.best) if self.relative else 1.0)
        margin = 0.0 if isinf(self.best) else share  # anything is better than the first, worst one
        better = value < self.best - margin if self.mode == "min" else value > self.best + margin
        if better:
            self.best, self.since = value, 0
        else:
            self.since += 1
        return better

    def warn_if_unseen(self, epochs: int) -> None:
        """Say at the end of a run that the metric never came.

        Warns:
            UserWarning: It was waited for in vain.
        """
        if not self.seen:
            warnings.warn(
                f"{self.owner} has done nothing: {self.name!r} was not there at any epoch when it "
                f"looked, up to epoch {epochs}. Set val_every and called_every to fit.",
                stacklevel=2,
            )

    def state_dict(self) -> dict[str, Any]:
        """What has been seen."""
        return {"best": self.best, "since": self.since, "seen": self.seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.best, self.since, self.seen = state["best"], state["since"], state["seen"]

    def _comes_later(
        self, metrics: Mapping[str, Any], on: TrainingStage, config: TrainConfig
    ) -> bool:
        validated = any(name.startswith("val_") for name in metrics)
        waits = self.name.startswith("val_") and "epoch" in on
        return waits and bool(config.val_every) and not validated

    def _unknown(self, metrics: Mapping[str, Any], config: TrainConfig) -> str:
        there = ", ".join(metrics) or "none"
        close = get_close_matches(self.name, metrics, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        if self.name.startswith("val_") and not config.val_every:
            hint = " Set val_every and give validation data to have those of the validation."
        return (
            f"{self.owner} monitors {self.name!r}, which this run does not have. "
            f"Its metrics are: {there}.{hint}"
        )


def _metrics(result: OptimizeResult, on: TrainingStage) -> Mapping[str, Any]:
    """Give the metrics under the names of the history, which a batch's do not have yet."""
    if "batch" not in on:
        return result.metrics
    return {"train_loss": result.loss, **{f"train_{k}": v for k, v in result.metrics.items()}}
