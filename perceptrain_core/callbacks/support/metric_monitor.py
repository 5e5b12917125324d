"""Read a metric of a run, and compare it with its best value so far."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal, cast

from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CallbackError
from perceptrain_core.registry.messages import did_you_mean
from perceptrain_core.schedules.plateau import WORST, Plateau
from perceptrain_core.types import OptimizeResult, TrainingStage


class MetricMonitor(Plateau):
    """A `Plateau` whose values are a metric of the run.

    Args:
        owner: The callback that monitors, for messages.
        name: The metric: ``"train_loss"``, ``"val_loss"``, ``"train_NAME"``, ...
        mode: ``"min"`` if lower is better, ``"max"`` if higher is.
        margin: A value must be better than the best by more than this.
        relative: Whether the margin is a fraction of the best value.

    Attributes:
        seen: Whether the metric has been available at least once.

    Raises:
        CallbackError: ``mode`` or ``name`` is not valid.
    """

    def __init__(
        self, owner: str, name: str, mode: str, margin: float, relative: bool = False
    ) -> None:
        if not isinstance(name, str):
            raise CallbackError(f"monitor must be the name of a metric, not {name!r}.")
        if not isinstance(mode, str) or mode not in WORST:
            raise CallbackError(
                f"mode must be 'min' (lower is better) or 'max' (higher is better), not {mode!r}."
            )
        self.owner = owner
        self.name = name
        super().__init__(cast(Literal["min", "max"], mode), margin, relative)

    def reset(self) -> None:
        """Forget all values."""
        super().reset()
        self.seen = False

    def read(self, result: OptimizeResult, on: TrainingStage, config: TrainConfig) -> float | None:
        """Return the value of the metric, or ``None`` if it may still come.

        Raises:
            CallbackError: This run does not have the metric.
        """
        metrics = _metrics(result, on)
        if self.name in metrics:
            self.seen = True
            return float(metrics[self.name])
        if self.seen or self._may_come(metrics, on, config):
            return None
        raise CallbackError(self._unknown(metrics, config))

    def warn_if_unseen(self, epochs: int) -> None:
        """Warn at the end of a run in which the metric was never available.

        Warns:
            UserWarning: It was never available.
        """
        if not self.seen:
            warnings.warn(
                f"{self.owner} has done nothing: {self.name!r} was not available at any epoch when "
                f"it looked, up to epoch {epochs}. Set val_every and called_every so that it is.",
                stacklevel=2,
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, the values since, and whether the metric was available."""
        return {**super().state_dict(), "seen": self.seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state)
        self.seen = state["seen"]

    def _may_come(self, metrics: Mapping[str, Any], on: TrainingStage, config: TrainConfig) -> bool:
        """Whether a validation that has not run yet may bring the metric."""
        validated = any(name.startswith("val_") for name in metrics)
        waits = self.name.startswith("val_") and "epoch" in on
        return waits and bool(config.val_every) and not validated

    def _unknown(self, metrics: Mapping[str, Any], config: TrainConfig) -> str:
        hint = did_you_mean(self.name, metrics)
        if self.name.startswith("val_") and not config.val_every:
            hint = " Set val_every and pass validation data to have validation metrics."
        return (
            f"{self.owner} monitors {self.name!r}, which this run does not have. "
            f"Its metrics are: {', '.join(metrics) or 'none'}.{hint}"
        )


def _metrics(result: OptimizeResult, on: TrainingStage) -> Mapping[str, Any]:
    """Return the metrics under their names in the history, which batch metrics lack."""
    if "batch" not in on:
        return result.metrics
    return {"train_loss": result.loss, **{f"train_{k}": v for k, v in result.metrics.items()}}
