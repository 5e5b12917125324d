"""The state of a run in a checkpoint: how to collect it, and how to restore a run from it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from copy import deepcopy
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from perceptrain_core.analysis.history import History
from perceptrain_core.callbacks import Callback
from perceptrain_core.checkpoints.folder import (
    is_best,
    list_checkpoints,
    newest_run_folder,
    read_newest,
)
from perceptrain_core.checkpoints.kinds import Read, read_checkpoint
from perceptrain_core.checkpoints.saveload import find_checkpoint, require_fit, restore
from perceptrain_core.config import TrainConfig
from perceptrain_core.config.run_folder import named_folder
from perceptrain_core.engine import Engine
from perceptrain_core.errors import CheckpointError
from perceptrain_core.optimizer_modes import evaluated_weights, is_training
from perceptrain_core.random_state import get_random_state, set_random_state
from perceptrain_core.registry.messages import one_line
from perceptrain_core.training.averages import Averages
from perceptrain_core.training.provenance import Provenance, versions
from perceptrain_core.training.resume.compatibility import (
    callback_names,
    check_processes,
    warn_of_changes,
    warn_of_versions,
)
from perceptrain_core.training.resume.data_position import DataPosition
from perceptrain_core.training.resume.shared_reading import SharesOf, find_together
from perceptrain_core.training.run_parts import OPTIONAL_PARTS, RunParts
from perceptrain_core.training.run_state import RunState
from perceptrain_core.training.steppers.base import Stepper
from perceptrain_core.user_warnings import warn_user

_PLAIN = (str, int, float, bool, type(None))


class SavedRun(Protocol):
    """What a checkpoint saves of a fit, and restores.

    Attributes:
        config: The settings.
        engine: Connects the processes.
        provenance: The distribution and version of each named part.
        parts: The model, the optimizer and the other parts with a state.
        state: The counters and the history.
        position: The position in the training data.
        averages: The averages of the current epoch so far.
        stepper: How steps are taken.
    """

    config: TrainConfig
    engine: Engine
    provenance: Provenance
    parts: RunParts
    state: RunState
    position: DataPosition
    averages: Averages
    stepper: Stepper


def run_state_dict(run: SavedRun) -> dict[str, Any]:
    """Return the state of a run between two steps, as tensors and plain values."""
    own = {
        "random": get_random_state(),
        "position": run.position.state_dict(),
        "steps": run.stepper.state_dict(),
        "averages": run.averages.state_dict() if run.position.batch else None,
    }
    processes = {"batch": run.position.batch, "processes": run.engine.gather(own)}
    described = _description(run.config, run.parts, run.provenance)
    return trained_state(run.parts, run.state) | described | processes | _evaluated(run.parts)


def trained_state(parts: RunParts, state: RunState) -> dict[str, Any]:
    """Return what training has changed so far, which is the same in all processes."""
    named = callback_names(parts.callbacks)
    return {
        "epoch": len(state.history),
        "global_step": state.global_step,
        "batches_seen": state.batches_seen,
        "history": list(state.history),
        "validations": list(state.validations),
        "callbacks": {name: callback.state_dict() for name, callback in named.items()},
    } | {name: part.state_dict() for name, part in parts.stateful().items()}


def _evaluated(parts: RunParts) -> dict[str, Any]:
    """Return a copy of the weights that are evaluated, if they are not those that are trained."""
    if not is_training(parts.optimizer):
        return {}
    with evaluated_weights(parts.optimizer):
        return {"evaluated_model": deepcopy(parts.model.state_dict())}


def restore_run(run: SavedRun, path: Path, saved: dict[str, Any]) -> list[Callback]:
    """Restore a run from a checkpoint.

    Args:
        run: The run.
        path: The checkpoint, for messages.
        saved: Its content, from `run_state_dict`.

    Returns:
        The callbacks that the checkpoint had a state for.

    Raises:
        CheckpointError: The checkpoint does not fit; then the model and optimizer are unchanged.

    Warns:
        UserWarning: Something differs from the run that was saved.
    """
    if "history" not in saved:
        raise CheckpointError(
            f"{path} holds a model, but no run to resume: load it with load_checkpoint."
        )
    # Versions first: they may be the reason why something does not fit.
    warn_of_versions(path, saved, versions(run.provenance))
    stateful = run.parts.stateful()
    _refuse_missing(path, OPTIONAL_PARTS.keys() & saved.keys() - stateful.keys())
    require_fit(path, saved, stateful)
    restored = restore_callbacks(path, run.parts.callbacks, saved["callbacks"])
    processes = saved["processes"]
    # After the callbacks, because some of them add points to the data.
    same = check_processes(path, run.position, processes, run.engine.world_size)
    description = _description(run.config, run.parts, run.provenance)
    settings = dict(saved["config"])
    if not same:  # the rows of all processes together have been compared
        settings.pop("batch_size", None)
    warn_of_changes(path, saved | {"config": settings}, description, run.parts.callbacks)
    restore_trained(run.parts, run.state, path, saved)
    if run.engine.sharded is not None:
        run.engine.sharded.divide_state()
    if saved["classes"] == description["classes"]:
        run.parts.optimizer_options = saved["optimizer_options"]
    run.position.begin_epoch(saved["epoch"] + 1)
    if same:
        _restore_process(run, processes[run.engine.rank])
    else:
        _continue_process(run, processes)
    return restored


def _restore_process(run: SavedRun, own: Mapping[str, Any]) -> None:
    """Restore what belongs to one process, in the same one."""
    run.position.load_state_dict(own["position"])
    run.stepper.load_state_dict(own.get("steps", {}))
    if run.position.batch:
        run.averages.load_state_dict(own["averages"])
    set_random_state(own["random"])  # last, because restoring the position draws numbers


def _continue_process(run: SavedRun, processes: list[dict[str, Any]]) -> None:
    """Continue what other processes saved, of which there were more or fewer."""
    rank, first = run.engine.rank, processes[0]["position"]
    if run.position.epochs.endless:
        run.position.continue_stream(first)
    elif first["batch"]:
        run.position.continue_pass(first)
    if run.position.batch:
        run.averages.load_all([own["averages"] for own in processes] if rank == 0 else [])
        run.averages.batches = processes[0]["averages"]["batches"]
    if rank < len(processes):  # the others were seeded when the run was started
        random = processes[rank]["random"]
        set_random_state({name: state for name, state in random.items() if name != "cuda"})


def restore_trained(parts: RunParts, state: RunState, path: Path, saved: dict[str, Any]) -> None:
    """Restore a state from `trained_state`, except for the callbacks.

    Raises:
        CheckpointError: It does not fit.
    """
    restore(path, saved, parts.stateful())
    state.current_epoch = saved["epoch"]
    state.global_step = saved["global_step"]
    state.batches_seen = saved["batches_seen"]
    state.history = History(saved["history"])
    state.validations = list(saved["validations"])


def _refuse_missing(path: Path, names: Container[str]) -> None:
    missing = [part for name, part in OPTIONAL_PARTS.items() if name in names]
    if missing:
        raise CheckpointError(
            f"{path} holds the state of {' and '.join(missing)}, which this run does not have: "
            "resume with the loss and settings that the run was started with, or start a new run "
            "from its weights with load_checkpoint."
        )


def restore_callbacks(
    path: Path, callbacks: Iterable[Callback], saved: dict[str, Any]
) -> list[Callback]:
    """Restore the states of callbacks.

    Returns:
        The callbacks that had a saved state.

    Raises:
        CheckpointError: A callback does not accept its state.
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


def find_run(
    engine: Engine, config: TrainConfig, parts: RunParts, resume: bool | str | Path
) -> tuple[Path, dict[str, Any]] | None:
    """Find the checkpoint to resume from; of a sharded model each process has its share.

    Args:
        engine: Connects the processes.
        config: The settings, which name the log folder.
        parts: The parts of the run.
        resume: ``True`` for the newest good checkpoint of the log folder; a path for that file or
            folder; ``False`` for none.

    Returns:
        Its path and content, or ``None``.

    Raises:
        CheckpointError: There are checkpoints, but none can be read.

    Warns:
        UserWarning: ``resume=True``, and there is no checkpoint.
    """
    if resume is False:
        return None
    source = None if resume is True else Path(resume)
    search = partial(_read_run, config, source)
    if engine.world_size == 1:
        return search(read_checkpoint)
    modules = [each for each in (parts.model, parts.averaged_model) if each is not None]
    shares = None if engine.sharded is None else SharesOf(modules, parts.optimizer)
    return find_together(engine, search, shares)


def _read_run(
    config: TrainConfig, source: Path | None, read: Read
) -> tuple[Path, dict[str, Any]] | None:
    if source is not None:
        named = find_checkpoint(source, read)
        if config.verbose:
            _mention_later_ones(named[0])
        return named
    folder = newest_run_folder(config)
    found = read_newest(folder, read)
    if found is None:
        warn_user(f"Nothing to resume: no checkpoint in {folder}. Starting.")
    return found


def _mention_later_ones(path: Path) -> None:
    beside = list_checkpoints(path.parent)
    if path in beside[1:] and not is_best(path):
        print(
            f"{path.name} has later checkpoints beside it; until this run has passed them, "
            f"a resume without a path starts from {beside[0].name}."
        )


def _description(config: TrainConfig, parts: RunParts, provenance: Provenance) -> dict[str, Any]:
    """Return what a checkpoint only records, for people and for comparison."""
    return {
        "config": plain_config(config),
        "classes": {
            "model": type(parts.model).__name__,
            "optimizer": type(parts.optimizer).__name__,
            "loss": _loss_name(parts.loss_fn),
        },
        "optimizer_options": list(parts.optimizer_options),
        "provenance": provenance,
        "versions": versions(provenance),
    }


def _loss_name(loss_fn: Any) -> str:
    """Return a name that tells losses apart, including the options bound to them."""
    if isinstance(loss_fn, partial):
        options = ", ".join(f"{key}={value!r}" for key, value in loss_fn.keywords.items())
        return f"{_loss_name(loss_fn.func)}({options})"
    return str(getattr(loss_fn, "__name__", type(loss_fn).__name__))


def plain_config(config: TrainConfig) -> dict[str, Any]:
    """Return the settings as plain values; functions, dtypes and lists become text.

    The callbacks are left out: their states are saved separately.
    """
    names = [field.name for field in fields(config) if field.name != "callbacks"]
    values = {name: getattr(config, name) for name in names}
    values["log_folder"] = named_folder(config.log_folder)
    return {name: v if isinstance(v, _PLAIN) else str(v) for name, v in values.items()}
