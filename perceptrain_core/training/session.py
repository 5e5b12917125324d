"""A session: the time for which a tracker is open and callbacks are notified."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from perceptrain_core.callbacks.support.writer import get_writer
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.trackers.none import SilentTracker
from perceptrain_core.training.context import TrainingContext
from perceptrain_core.training.events import Events


@dataclass(frozen=True)
class Session:
    """An open tracker, and the events that reach callbacks.

    Attributes:
        tracker: The tracker; in all processes but the first a silent one.
        events: The events.
    """

    tracker: Tracker
    events: Events


@contextmanager
def open_session(trainer: TrainingContext) -> Iterator[Session]:
    """Open the tracker of a run for the length of a fit, a validation or a test."""
    config = replace(trainer.config, log_folder=trainer.log_folder)
    first = trainer.engine.rank == 0
    tracker = get_writer(config.tracking_tool) if first else SilentTracker()
    session = Session(tracker, Events(trainer, config, tracker))
    tracker.open(config, trainer.current_epoch)
    try:
        yield session
    except BaseException as error:
        tracker.fail(error)
        raise
    finally:
        tracker.close()


@contextmanager
def join_session(trainer: TrainingContext, session: Session) -> Iterator[Session]:
    """Use an open session for an evaluation by a callback; restore ``opt_result`` afterwards.

    Callbacks that come later in the same stage look at the epoch, not at that evaluation.
    """
    result = trainer.opt_result
    before = result.iteration, result.loss, result.metrics
    yield session
    result.iteration, result.loss, result.metrics = before
