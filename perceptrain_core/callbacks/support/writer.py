"""Create trackers by name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec

from perceptrain_core.errors import TrainingError
from perceptrain_core.registry import get_tracker
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.trackers.several import SeveralTrackers


def get_writer(tracking_tool: str | Sequence[str] | None = None) -> Tracker:
    """Create a tracker. Call its ``open(config)`` before other methods.

    Args:
        tracking_tool: ``"tensorboard"``, ``"mlflow"``, ``"csv"``, ``"none"``, a member of
            ``ExperimentTrackingTool``, or the name of any other registered tracker; or a sequence
            of these. By default TensorBoard if it is installed, otherwise CSV.

    Raises:
        RegistryError: No tracker has the name.
        TrainingError: The name resolves to something other than a tracker.
        MissingDependencyError: A tracker needs a package that is not installed.
    """
    trackers = [_make(name) for name in tracker_names(tracking_tool)]
    return trackers[0] if len(trackers) == 1 else SeveralTrackers(trackers)


def tracker_names(tracking_tool: str | Sequence[str] | None) -> list[str]:
    """Return the names of the trackers, filling in the default of `get_writer`."""
    if not tracking_tool:
        return [_default()]
    return [tracking_tool] if isinstance(tracking_tool, str) else list(tracking_tool)


@cache  # the search takes long compared with a short fit
def _default() -> str:
    return "tensorboard" if find_spec("tensorboard") else "csv"


def _make(name: str) -> Tracker:
    tracker = get_tracker(name)
    if not isinstance(tracker, Tracker):
        raise TrainingError(
            f"The tracker {name!r} returned {type(tracker).__name__}; expected an instance of "
            "perceptrain.Tracker."
        )
    return tracker
