"""What a rule that monitors a metric does when the metric is missing."""

from __future__ import annotations

from collections.abc import Collection

from perceptrain_core.suggestions import did_you_mean


def awaits_validation(monitor: str, metrics: Collection[str]) -> bool:
    """Whether a metric is missing only because this epoch had no validation."""
    return monitor.startswith("val_") and not any(name.startswith("val_") for name in metrics)


def no_such_metric(
    owner: str, monitor: str, metrics: Collection[str], validates: bool = True
) -> str:
    """Return the message that a run does not have the monitored metric.

    Args:
        owner: What monitors it.
        monitor: The name of the metric.
        metrics: The metrics that the run has.
        validates: Whether the run has validations.
    """
    hint = did_you_mean(monitor, metrics)
    if monitor.startswith("val_") and not validates:
        hint = " Set val_every and pass validation data to have validation metrics."
    return (
        f"{owner} monitors {monitor!r}, which this run does not have. "
        f"Its metrics are: {', '.join(metrics) or 'none'}.{hint}"
    )
