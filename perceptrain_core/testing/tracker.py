"""Checks of a tracker."""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from perceptrain_core.config import TrainConfig
from perceptrain_core.testing.checks import describe_stray, require_all, stray_files
from perceptrain_core.trackers.base import Tracker

_ROWS = [{"train_loss": 1.0 / epoch, "val_loss": 2.0 / epoch} for epoch in (1, 2, 3)]


def check_tracker(tracker: Tracker) -> None:
    """Check that a tracker keeps the contract.

    The tracker must accept metrics, including new ones in later epochs, hyperparameters and a
    model. It must close its files even after an error, append to them when a run resumes, and work
    for a second run. It must not change its arguments, write outside the run folder, or print,
    except in ``print_metrics``. The checks work on copies, in a temporary folder.

    Args:
        tracker: The tracker, before it is opened.

    Raises:
        ConformanceError: A check failed; the message lists every fault.
    """
    label = f"The tracker {type(tracker).__name__!r}"
    require_all(tracker, label, ("is a tracker", _kind_faults), _CHECKS)


def _kind_faults(tracker: Any) -> Iterator[str]:
    if not isinstance(tracker, Tracker):
        yield f"it is {type(tracker).__name__}; a subclass of perceptrain.Tracker was expected"


@contextlib.contextmanager
def _run(tracker: Tracker, folder: str, iteration: int = 0) -> Iterator[Tracker]:
    config = TrainConfig(root_folder=Path(folder), log_folder=Path(folder, "run"), verbose=False)
    tracker.open(config, iteration)
    try:
        yield tracker
    finally:
        tracker.close()


def _use(tracker: Tracker, folder: str, start: int = 0) -> None:
    with _run(tracker, folder, start):
        tracker.log_hyperparams({"lr": 1e-3, "name": "adam", "layers": [2, 4, 1], "none": None})
        for epoch, row in enumerate(_ROWS, start=start + 1):
            tracker.write(epoch, row)
        tracker.write(start + len(_ROWS) + 1, {"train_loss": 0.1, "train_new": 3.0})
        tracker.write(start + len(_ROWS) + 1, {"norm": 2.0})  # as a callback does
        tracker.write_step(10 * (start + len(_ROWS) + 1), start + len(_ROWS) + 1, {"val_loss": 0.5})
        tracker.plot(nn.Linear(2, 1), 1, ())
        tracker.log_model(nn.Linear(2, 1))


def _use_faults(tracker: Tracker) -> Iterator[str]:
    used = copy.deepcopy(tracker)
    with tempfile.TemporaryDirectory() as folder:
        _use(used, folder)
        before = _sizes(folder)
        _use(used, folder, start=len(_ROWS) + 2)  # resumed
        after = _sizes(folder)
    with tempfile.TemporaryDirectory() as folder:
        _use(used, folder)
    for name, size in before.items():
        if after.get(name, 0) < size:
            yield f"a resumed run leaves {name} shorter than before: append to it"


def _sizes(folder: str) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()}


def _close_faults(tracker: Tracker) -> Iterator[str]:
    used = copy.deepcopy(tracker)
    with warnings.catch_warnings(record=True) as caught, tempfile.TemporaryDirectory() as folder:
        gc.collect()
        caught.clear()
        warnings.simplefilter("always", ResourceWarning)
        _use(used, folder)
        del used
        gc.collect()
    if any(issubclass(warning.category, ResourceWarning) for warning in caught):
        yield "close() leaves a file open"


def _error_faults(tracker: Tracker) -> Iterator[str]:
    used = copy.deepcopy(tracker)
    with tempfile.TemporaryDirectory() as folder:
        with _run(used, folder):
            used.fail(RuntimeError("the run failed"))
        _use(used, folder)
    yield from ()


def _change_faults(tracker: Tracker) -> Iterator[str]:
    used, row, settings = copy.deepcopy(tracker), {"train_loss": 1.0}, {"lr": 0.1}
    model = nn.Linear(2, 1)
    before = copy.deepcopy((row, settings, model.state_dict(), model.training))
    with tempfile.TemporaryDirectory() as folder, _run(used, folder):
        used.write(1, row)
        used.log_hyperparams(settings)
        used.log_model(model)
    state = model.state_dict()
    same = all(torch.equal(value, state[name]) for name, value in before[2].items())
    if (row, settings, model.training) != (before[0], before[1], before[3]) or not same:
        yield "it changed the metrics, the hyperparameters or the model"


def _place_faults(tracker: Tracker) -> Iterator[str]:
    used, printed = copy.deepcopy(tracker), io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.redirect_stdout(printed):
            _use(used, folder)
        for path in Path(folder).iterdir():
            if path.name != "run":
                yield describe_stray(path)
    yield from stray_files()
    if printed.getvalue():
        yield f"it printed {printed.getvalue().splitlines()[0]!r}; only print_metrics may print"


_CHECKS = {
    "records a run, a resumed run and a second run": _use_faults,
    "closes after an error": _error_faults,
    "closes its files": _close_faults,
    "does not change its arguments": _change_faults,
    "writes only to the run folder": _place_faults,
}
