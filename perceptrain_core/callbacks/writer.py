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
    default = "tensorboard" if find_spec("tensorboard") else "csv"
    tracker = get_tracker(tracking_tool or default)
    if not isinstance(tracker, Tracker):
        raise TrainingError(
            f"The tracker {tracking_tool!r} gave {type(tracker).__name__}; a tracker is a "
            "subclass of perceptrain_core's Tracker."
        )
    return tracker
