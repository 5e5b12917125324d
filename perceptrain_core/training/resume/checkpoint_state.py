"""All that a checkpoint holds of a run, and a run put back from it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from torch.nn import ParameterList

from perceptrain_core.analysis.history import History
from perceptrain_core.callbacks.base import Callback
from perceptrain_core.checkpoints.folder import (
    BEST,
    list_checkpoints,
    newest_run_folder,
    read_newest,
)
from perceptrain_core.checkpoints.random_state import get_random_state, set_random_state
from perceptrain_core.checkpoints.saveload import find_checkpoint, require_fit, restore
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CheckpointError
from perceptrain_core.registry.messages import one_line
from perceptrain_core.training.averages import Meter
from perceptrain_core.training.provenance import versions
from perceptrain_core.training.resolve import parameters_beside
from perceptrain_core.training.resume.compatibility import (
    callback_names,
    check_data,
    check_processes,
    tell_changes,
    tell_versions,
)
from perceptrain_core.training.resume.data_position import Feed

_PLAIN = (str, int, float, bool, type(None))
#: Parts that not every run has.
_PARTS = {
    "loss": "a loss",
    "parameters": "parameters that the optimizer has beside the model's",
    "averaged_model": "an averaged model (ema)",
    "grad_scaler": "a gradient scaler (fp16)",
    "lr_schedule": "a learning-rate scheduler",
}


def run_state(trainer: Any, feed: Feed, meter: Meter) -> dict[str, Any]:
    """Take down where a run stands between two steps, in values that need no code to load."""
    place = {
        "random": get_random_state(),
        "feed": feed.state_dict(),
        "meter": meter.state_dict() if feed.batch else None,
    }
    places = {"batch": feed.batch, "processes": trainer.engine.gather(place)}
    return trained_state(trainer) | places


def trained_state(trainer: Any) -> dict[str, Any]:
    """Take down what has been trained so far, which is the same in all processes."""
    state: dict[str, Any] = {
        "epoch": len(trainer.history),
        "global_step": trainer.global_step,
        "batches_seen": trainer.batches_seen,
        "history": list(trainer.history),
        "callbacks": {n: c.state_dict() for n, c in callback_names(trainer.callbacks).items()},
    }
    state |= _described(trainer)
    return state | {name: part.state_dict() for name, part in _stateful(trainer).items()}


def restore_run(
    trainer: Any, feed: Feed, meter: Meter, path: Path, state: dict[str, Any]
) -> list[Callback]:
    """Put a run back to where a checkpoint has it.

    Returns:
        The callbacks that the checkpoint had a state for.

    Raises:
        CheckpointError: The checkpoint does not fit; then the model and optimizer have not changed.

    Warns:
        UserWarning: Something is other than in the run that was saved.
    """
    if "history" not in state:
        raise CheckpointError(
            f"{path} holds a model, but no run to go on with: load it with load_checkpoint."
        )
    tell_versions(path, state, versions(trainer.provenance))  # for they may be why it does not fit
    parts = _stateful(trainer)
    _refuse_unknown(path, _PARTS.keys() & state.keys() - parts.keys())
    require_fit(path, state, parts)
    restored = restore_callbacks(path, trainer.callbacks, state["callbacks"])
    places = state["processes"]
    place = None
    if check_processes(path, len(places), trainer.engine.world_size, state["batch"]):
        place = places[trainer.engine.rank]
        check_data(path, feed, place["feed"])  # as the callbacks have them, for some add points
    tell_changes(path, state, _described(trainer), trainer.callbacks)
    restore_trained(trainer, path, state)
    feed.begin_epoch(state["epoch"] + 1)
    if place is not None:
        feed.load_state_dict(place["feed"])
        if feed.batch:
            meter.load_state_dict(place["meter"])
        set_random_state(place["random"])  # at last, for the feed has used it
    return restored


def restore_trained(trainer: Any, path: Path, state: dict[str, Any]) -> None:
    """Put back what `trained_state` gave, but for the callbacks.

    Raises:
        CheckpointError: It does not fit.
    """
    restore(path, state, _stateful(trainer))
    trainer.current_epoch = state["epoch"]
    trainer.global_step = state["global_step"]
    trainer.batches_seen = state["batches_seen"]
    trainer.history = History(state["history"])


def _refuse_unknown(path: Path, parts: Iterable[str]) -> None:
    for part in parts:
        raise CheckpointError(
            f"{path} holds the state of {_PARTS[part]}, and this run has none: resume with the "
            "loss and settings that the run was started with, or start a new one from its weights "
            "with load_checkpoint."
        )


def restore_callbacks(
    path: Path, callbacks: Iterable[Callback], saved: dict[str, Any]
) -> list[Callback]:
    """Give callbacks the states that were saved of them.

    Returns:
        Those that there was a state for.

    Raises:
        CheckpointError: A callback does not take its state.
    """
    restored = []
    for name, callback in callback_names(callbacks).items():
        if name not in saved:
            continue
        try:
            callback.load_state_dict(saved[name])
        except Exception as error:
            raise CheckpointError(
                f"{path} does not fit the callback {name}: {one_line(error)}"
            ) from error
        restored.append(callback)
    return restored


def find_run(config: TrainConfig, resume: bool | str | Path) -> tuple[Path, dict[str, Any]] | None:
    """Find what to resume: the newest good checkpoint of the log folder, or the one named.

    Returns:
        Its path and state; ``None`` if nothing is to be resumed, or nothing is there yet.

    Raises:
        CheckpointError: There are checkpoints, and none can be read.

    Warns:
        UserWarning: ``resume=True``, and there is no checkpoint: the run starts from the start.
    """
    if resume is False:
        return None
    if resume is not True:
        named = find_checkpoint(resume)
        if config.verbose:
            _tell_later_ones(named[0])
        return named
    folder = newest_run_folder(config)
    found = read_newest(folder)
    if found is None:
        warnings.warn(f"Nothing to resume: no checkpoint in {folder}. Starting.", stacklevel=3)
    return found


def _tell_later_ones(path: Path) -> None:
    beside = list_checkpoints(path.parent)
    if path in beside[1:] and path.name != BEST:
        print(
            f"{path.name} has later checkpoints beside it; until this run has got further, "
            f"resume=True goes on from {beside[0].name}."
        )


def _described(trainer: Any) -> dict[str, Any]:
    """Give what a checkpoint only records, for people and for comparison."""
    return {
        "config": plain_config(trainer.config),
        "classes": {
            "model": type(trainer.model).__name__,
            "optimizer": type(trainer.optimizer).__name__,
            "loss": _loss_name(trainer.loss_fn),
        },
        "optimizer_options": trainer.optimizer_options,
        "provenance": trainer.provenance,
        "versions": versions(trainer.provenance),
    }


def _loss_name(loss_fn: Any) -> str:
    """Tell one loss from another: by its name, and the options that are bound to it."""
    if isinstance(loss_fn, partial):
        options = ", ".join(f"{key}={value!r}" for key, value in loss_fn.keywords.items())
        return f"{_loss_name(loss_fn.func)}({options})"
    return str(getattr(loss_fn, "__name__", type(loss_fn).__name__))


def plain_config(config: TrainConfig) -> dict[str, Any]:
    """Give the settings as plain values; what is none (functions, dtypes, lists) as text.

    The callbacks are left out: they have a place of their own.
    """
    names = [field.name for field in fields(config) if field.name != "callbacks"]
    values = {name: getattr(config, name) for name in names}
    return {name: v if isinstance(v, _PLAIN) else str(v) for name, v in values.items()}


def _stateful(trainer: Any) -> dict[str, Any]:
    parts = {"model": trainer.model, "optimizer": trainer.optimizer}
    if hasattr(trainer.loss_fn, "state_dict") and hasattr(trainer.loss_fn, "load_state_dict"):
        parts["loss"] = trainer.loss_fn
    others = parameters_beside(trainer.optimizer, trainer.model, trainer.loss_fn)
    if others:
        parts["parameters"] = ParameterList(others)
    if trainer.averaged_model is not None:
        parts["averaged_model"] = trainer.averaged_model
    if trainer.grad_scaler is not None:
        parts["grad_scaler"] = trainer.grad_scaler
    if trainer.schedule is not None:
        parts["lr_schedule"] = trainer.schedule
    return parts
