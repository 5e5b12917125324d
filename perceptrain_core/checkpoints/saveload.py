"""Checkpoints by hand: write one, load it into a model and an optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from perceptrain_core.checkpoints.differences import (
    find_conversions,
    find_differences,
    renamed,
)
from perceptrain_core.checkpoints.file import (
    as_checkpoint,
    is_weights,
    read_any,
    write_file,
)
from perceptrain_core.checkpoints.folder import checkpoint_path, read_newest, refuse_older
from perceptrain_core.checkpoints.kinds import (
    ONE_FILE,
    SHARDED,
    Read,
    exists,
    is_folder_of_shards,
    read_checkpoint,
)
from perceptrain_core.checkpoints.names import names_of_module
from perceptrain_core.checkpoints.state_tree import divided_as
from perceptrain_core.errors import CheckpointError, TrainingError
from perceptrain_core.optimizer_modes import mark_evaluated
from perceptrain_core.tensors import describe
from perceptrain_core.user_warnings import warn_user


def write_checkpoint(
    folder: Path | str, model: nn.Module, optimizer: Optimizer | None, iteration: int
) -> Path:
    """Write a model and its optimizer to ``checkpoint_epoch_NNNNNN.pt`` in a folder.

    Args:
        folder: Created if it is missing.
        model: Its ``state_dict`` is saved.
        optimizer: Its ``state_dict`` is saved, unless ``None``.
        iteration: The epoch, part of the file's name.

    Returns:
        The path of the file.

    Raises:
        CheckpointError: The file cannot be written.
        TrainingError: ``model`` is not a module.
    """
    if not isinstance(model, nn.Module):
        raise TrainingError(
            f"Expected write_checkpoint(folder, model, optimizer, iteration), with a "
            f"torch.nn.Module as the model, not {describe(model)}."
        )
    state: dict[str, Any] = {"epoch": int(iteration), "model": model.state_dict()}
    if optimizer is not None:
        state["optimizer"] = optimizer.state_dict()
    return write_file(checkpoint_path(Path(folder), int(iteration)), state)


def load_checkpoint(
    folder: Path | str,
    model: nn.Module,
    optimizer: Optimizer | None = None,
    device: torch.device | str | None = None,
) -> tuple[nn.Module, Optimizer | None, int]:
    """Load a model, and an optimizer if one is given, in place.

    If the run averaged its weights (``TrainConfig(ema=...)``, or a schedule-free optimizer), the
    averaged weights are loaded, as used in validation and returned by the fit; ``fit(resume=...)``
    continues from the others. The
    prefixes that ``torch.compile`` and ``DistributedDataParallel`` add to names make no difference.

    Args:
        folder: A folder, whose newest readable checkpoint is loaded; a checkpoint; or a file with a
            ``state_dict`` alone, such as ``model.pt`` of a run, if no optimizer is given.
        model: Receives the weights.
        optimizer: Receives its state.
        device: Where to move the model to; ``None`` leaves it.

    Returns:
        The model, the optimizer, and the epoch of the checkpoint. The epoch is 0 if the folder has
        no checkpoint, or does not exist; a loop of your own then starts from the beginning.

    Raises:
        CheckpointError: The checkpoint does not exist, cannot be read, or does not fit the model or
            optimizer; then both are unchanged.

    Warns:
        UserWarning: The folder has no checkpoint; the model and the optimizer are unchanged.
    """
    found = _find_weights(Path(folder))
    if found is None:
        warn_user(f"Nothing to load: no checkpoint in {folder}. Starting from scratch.")
    iteration = 0 if found is None else _load(*found, model, optimizer)
    if device is not None:
        model.to(device)
    return model, optimizer, iteration


def load_model(
    folder: Path | str, model: nn.Module, device: torch.device | str | None = None
) -> nn.Module:
    """Load the weights of a model in place, as `load_checkpoint` does, to use the model.

    Args:
        folder: A folder, whose newest readable checkpoint is loaded; a checkpoint; or a file with a
            ``state_dict`` alone.
        model: The model to load the weights into.
        device: Where to move the model to; ``None`` leaves it.

    Returns:
        The model, and not a pair of model and epoch as in perceptrain 0.1.0; for the epoch use
        ``model, _, epoch = load_checkpoint(folder, model)``.

    Raises:
        CheckpointError: No checkpoint was found, or it cannot be read or does not fit the model.
        TrainingError: ``model`` is not a module.
    """
    if not isinstance(model, nn.Module):
        raise TrainingError(
            f"Expected load_model(folder, model), with a torch.nn.Module object to load the "
            f"weights into, not {describe(model)}."
        )
    load_found(folder, model, None)
    return model if device is None else model.to(device)


def load_found(source: Path | str, model: nn.Module, optimizer: Any) -> int:
    """Load a checkpoint that must be there, as `load_checkpoint` does; return its epoch.

    Raises:
        CheckpointError: There is none, it cannot be read, or it does not fit.
    """
    return _load(*find_weights(source), model, optimizer)


def find_weights(source: Path | str) -> tuple[Path, dict[str, Any]]:
    """Read a checkpoint that must be there; its ``"model"`` has the weights to use.

    Raises:
        CheckpointError: There is none, or it cannot be read.
    """
    found = _find_weights(Path(source))
    if found is None:
        raise CheckpointError(_none_in(Path(source)))
    return found


def _load(path: Path, state: dict[str, Any], model: nn.Module, optimizer: Any) -> int:
    restore(path, state, training_parts(model, optimizer))
    if "evaluated_model" in state:
        mark_evaluated(optimizer)
    return int(state.get("epoch", 0))


def _find_weights(path: Path) -> tuple[Path, dict[str, Any]] | None:
    """Read a checkpoint, whose model becomes the averaged one, if there is one; or weights."""
    if path.is_file():
        refuse_older(path)
        content = read_any(path)
        state = {"model": content} if is_weights(content) else as_checkpoint(path, content)
    elif (found := _read(path)) is None:
        return None
    else:
        path, state = found
    if "averaged_model" in state:
        averaged = state["averaged_model"].items()
        prefix = "module."  # of AveragedModel, which also has a counter
        weights = {k.removeprefix(prefix): v for k, v in averaged if k.startswith(prefix)}
        state = {**state, "model": weights}
    if "evaluated_model" in state:
        state = {**state, "model": state["evaluated_model"]}
    return path, state


def find_checkpoint(
    source: Path | str, read: Read = read_checkpoint
) -> tuple[Path, dict[str, Any]]:
    """Read a checkpoint, or the newest readable one in a folder.

    Args:
        source: The checkpoint, or the folder.
        read: Reads a checkpoint.

    Raises:
        CheckpointError: No readable checkpoint was found.
    """
    found = _read(Path(source), read)
    if found is None:
        raise CheckpointError(_none_in(Path(source)))
    return found


def _none_in(path: Path) -> str:
    weights = path / "model.pt"
    hint = f" It has {weights.name}: load_model({str(weights)!r}, model)." * weights.exists()
    return f"There are no checkpoints in {path}.{hint}"


def training_parts(model: nn.Module, optimizer: Any) -> dict[str, Any]:
    """Return the parts to restore for training: the model, and the optimizer unless ``None``."""
    return {"model": model} if optimizer is None else {"model": model, "optimizer": optimizer}


def _read(path: Path, read: Read = read_checkpoint) -> tuple[Path, dict[str, Any]] | None:
    """Read a checkpoint, or the newest one in a folder; ``None`` if the path does not exist."""
    if path.is_dir() and not is_folder_of_shards(path):
        return read_newest(path, read)
    if not exists(path) and path.suffix not in (ONE_FILE, SHARDED):
        return None
    refuse_older(path)
    return path, read(path)


def restore(path: Path, state: dict[str, Any], targets: dict[str, Any]) -> None:
    """Load parts of a checkpoint into the objects that they belong to: all or none.

    Args:
        path: Named in messages.
        state: The content of the checkpoint.
        targets: The object for each part, e.g. ``{"model": model, "optimizer": optimizer}``.

    Raises:
        CheckpointError: A part is missing, or an object differs from the one that was saved.

    Warns:
        UserWarning: Saved weights have another dtype, and are converted.
    """
    state = {part: renamed(targets.get(part), saved) for part, saved in state.items()}
    state = _by_own_names(state, targets)
    require_fit(path, state, targets)
    # Parts that could not be compared come first: only these can still raise.
    for part in sorted(targets, key=lambda part: isinstance(targets[part], nn.Module | Optimizer)):
        target = targets[part]
        for line in find_conversions(target, state[part]):
            warn_user(
                f"{path.name}, {part}: {line}. To keep that of the checkpoint, convert the {part} "
                "before, such as by model.double()."
            )
        try:
            target.load_state_dict(_divided(target, state[part]))
        except Exception as error:
            raise CheckpointError(f"{path} does not fit the {part}: {error}") from error


def _divided(target: Any, saved: Any) -> Any:
    return divided_as(target.state_dict(), saved) if isinstance(target, nn.Module) else saved


def _by_own_names(state: dict[str, Any], targets: dict[str, Any]) -> dict[str, Any]:
    renamed = {
        part: names_of_module(target, state[part])
        for part, target in targets.items()
        if isinstance(target, nn.Module) and isinstance(state.get(part), Mapping)
    }
    return {**state, **renamed}


def require_fit(path: Path, state: dict[str, Any], targets: dict[str, Any]) -> None:
    """Compare parts of a checkpoint with the objects that they belong to, as `restore` does.

    Raises:
        CheckpointError: A part is missing, or an object differs from the one that was saved.
    """
    state = _by_own_names(state, targets)
    for part, target in targets.items():
        if part not in state:
            raise CheckpointError(f"{path} holds no {part}; it holds {', '.join(sorted(state))}.")
        differences = find_differences(target, state[part])
        if differences:
            listed = "".join(f"\n  {line}" for line in differences)
            raise CheckpointError(f"{path} does not fit the {part}:{listed}")
        if hasattr(target, "check_state"):  # it knows best, and raises its own error
            target.check_state(state[part])
