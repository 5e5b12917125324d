"""Trackers by name, as scripts ask for them."""

from __future__ import annotations

from importlib.util import find_spec

from perceptrain_core.errors import TrainingError
from perceptrain_core.registry import get_tracker
from perceptrain_core.trackers.base import Tracker


def get_writer(tracking_tool: str | None = None) -> Tracker:
    """Make a tracker; call its ``open(config)`` before anything else.

    Args:
        tracking_tool: ``"tensorboard"``, ``"csv"``, ``"none"``, a member of
            ``ExperimentTrackingTool``, or the name of any other that is registered. By default
            TensorBoard where it is installed, else CSV.

    Raises:
        RegistryError: No tracker has the name.
        TrainingError: What has the name is no tracker.
    """
    tracker = get_tracker(tracker_name(tracking_tool))
    if not isinstance(tracker, Tracker):
        raise TrainingError(
            f"The tracker {tracking_tool!r} gave {type(tracker).__name__}; a tracker is a "
            "subclass of perceptrain_core's Tracker."
        )
    return tracker


def tracker_name(tracking_tool: str | None) -> str:
    """Give the name of the tracker: the one asked for, else TensorBoard where it is, else CSV."""
    return tracking_tool or ("tensorboard" if find_spec("tensorboard") else "csv")
