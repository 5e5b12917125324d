"""All that a checkpoint holds of a run, and a run put back from it."""

from __future__ import annotations

import warnings
from dataclasses import fields
from pathlib import Path
from typing import Any

from perceptrain_core.analysis.history import History
from perceptrain_core.callbacks.base import Callback
from perceptrain_core.checkpoints.folder import newest_run_folder, read_newest
from perceptrain_core.checkpoints.random_state import get_random_state, set_random_state
from perceptrain_core.checkpoints.saveload import find_checkpoint, restore
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CheckpointError
from perceptrain_core.training.feed import Feed
from perceptrain_core.training.meter import Meter

_PLAIN = (str, int, float, bool, type(None))


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
        "callbacks": {_key(i, c): c.state_dict() for i, c in enumerate(trainer.callbacks)},
        "config": plain_config(trainer.config),
        "provenance": trainer.provenance,
    }
    return state | {name: part.state_dict() for name, part in _stateful(trainer).items()}


def restore_run(
    trainer: Any, feed: Feed, meter: Meter, path: Path, state: dict[str, Any]
) -> list[Callback]:
    """Put a run back to where a checkpoint has it.

    Returns:
        The callbacks that the checkpoint had a state for.

    Raises:
        CheckpointError: The checkpoint does not fit; then nothing has changed.
    """
    if "history" not in state:
        raise CheckpointError(
            f"{path} holds a model, but no run to go on with: load it with load_checkpoint."
        )
    engine, places = trainer.engine, state["processes"]
    known = len(places) == engine.world_size
    if state["batch"] and not known:
        raise CheckpointError(
            f"{path} is from the midst of an epoch of {len(places)} processes, and here are "
            f"{engine.world_size}: resume it in as many, or from the end of an epoch."
        )
    restored = restore_trained(trainer, path, state)
    feed.begin_epoch(state["epoch"] + 1)
    if known:
        feed.load_state_dict(places[engine.rank]["feed"])
    if feed.batch:
        meter.load_state_dict(places[engine.rank]["meter"])
    if engine.rank < len(places):  # else this process was not there
        set_random_state(places[engine.rank]["random"])  # at last, for the feed has used it
    return restored


def restore_trained(trainer: Any, path: Path, state: dict[str, Any]) -> list[Callback]:
    """Put back what `trained_state` gave.

    Returns:
        The callbacks that there was a state for.
    """
    _warn_of_others(path, state["provenance"], trainer.provenance)
    if trainer.schedule is not None and "lr_schedule" in state:
        trainer.schedule.check_state(state["lr_schedule"])
    restore(path, state, _stateful(trainer))
    restored = []
    for number, callback in enumerate(trainer.callbacks):
        saved = state["callbacks"].get(_key(number, callback))
        if saved is not None:
            callback.load_state_dict(saved)
            restored.append(callback)
    trainer.current_epoch = state["epoch"]
    trainer.global_step = state["global_step"]
    trainer.batches_seen = state["batches_seen"]
    trainer.history = History(state["history"])
    return restored


def _warn_of_others(path: Path, saved: dict[str, Any], own: dict[str, Any]) -> None:
    """Say which parts came by another name, or from another version, than in the checkpoint."""
    changed = [
        f"{part}: {_supplier(saved[part])} then, {_supplier(own[part])} now"
        for part in saved.keys() & own.keys()
        if saved[part] != own[part]
    ]
    if changed:
        warnings.warn(f"{path.name} was made with other parts; {'; '.join(changed)}.", stacklevel=4)


def _supplier(entry: dict[str, Any]) -> str:
    return " ".join(str(value) for key in ("name", "version") if (value := entry.get(key)))


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
        return find_checkpoint(resume)
    folder = newest_run_folder(config)
    found = read_newest(folder)
    if found is None:
        warnings.warn(f"Nothing to resume: no checkpoint in {folder}. Starting.", stacklevel=3)
    return found


def plain_config(config: TrainConfig) -> dict[str, Any]:
    """Give the settings as plain values; what is none (functions, dtypes, lists) as text."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    return {name: v if isinstance(v, _PLAIN) else str(v) for name, v in values.items()}


def _stateful(trainer: Any) -> dict[str, Any]:
    parts = {"model": trainer.model, "optimizer": trainer.optimizer}
    if hasattr(trainer.loss_fn, "state_dict") and hasattr(trainer.loss_fn, "load_state_dict"):
        parts["loss"] = trainer.loss_fn
    if trainer.averaged_model is not None:
        parts["averaged_model"] = trainer.averaged_model
    if trainer.grad_scaler is not None:
        parts["grad_scaler"] = trainer.grad_scaler
    if trainer.schedule is not None:  # after the optimizer, whose rates it knows
        parts["lr_schedule"] = trainer.schedule
    return parts


def _key(number: int, callback: Callback) -> str:
    return f"{number}:{type(callback).__name__}"
