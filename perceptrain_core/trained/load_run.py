"""Load a trained run from its folder."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from perceptrain_core.checkpoints.folder import best_checkpoint
from perceptrain_core.checkpoints.kinds import exists
from perceptrain_core.checkpoints.saveload import load_found
from perceptrain_core.config import TrainConfig
from perceptrain_core.data.tables.preparation_file import read_preparation
from perceptrain_core.errors import CheckpointError, ConfigError, DataError
from perceptrain_core.option_checks import check_choice
from perceptrain_core.runs.build import build_model
from perceptrain_core.runs.file_names import FOLDS, PREPARATION, RUN_FILE, WEIGHTS
from perceptrain_core.runs.read import read_run_file
from perceptrain_core.runs.record import RunRecord, read_record
from perceptrain_core.runs.tables import RunFile
from perceptrain_core.runs.versions import changed_versions
from perceptrain_core.tensors import describe
from perceptrain_core.trained.rows import AnyPreparation
from perceptrain_core.trained.trained_run import TrainedRun
from perceptrain_core.trained.trust import trusting
from perceptrain_core.user_warnings import warn_user

_WEIGHTS = ("last", "best")


def load_run(
    folder: str | Path,
    weights: str = "last",
    *,
    trust: bool = False,
    device: torch.device | str = "cpu",
) -> TrainedRun:
    """Load a trained run from its folder, to use it.

    Nothing in the folder is executed: the weights are read without pickle, and the model, the loss
    and the metrics must be names that installed packages registered. Plugins that supplied them
    must be installed. Code that the run file names only for its training, such as callbacks, is not
    imported.

    Args:
        folder: The run folder, as ``perceptrain train`` wrote it.
        weights: ``"last"``, those at the end of the training, which its test figures are of; or
            ``"best"``, those of ``checkpoint_best.pt`` (or ``.dcp``), if the run saved them.
        trust: Whether to import code that the run file names, ``package.module:name`` or
            ``./file.py:name``.
        device: Where to put the model.

    Returns:
        The run, with ``model``, ``predict(data)`` and ``test(data)``.

    Raises:
        ConfigError: The folder is not a run folder, or its run file is not valid.
        DataError: The run has not ended, or its files cannot be read.
        CheckpointError: The weights cannot be read, or do not fit the model.
        TrustError: The model is code that the run file names, and ``trust`` is not set.

    Warns:
        UserWarning: Other versions of the plugins or of this library trained the run.
    """
    if not isinstance(folder, str | os.PathLike):
        raise ConfigError(
            f"load_run was called with {describe(folder)}; expected the path of a run folder, such "
            'as "runs/NAME".'
        )
    folder = Path(folder)
    path = folder / RUN_FILE
    _check_folder(folder)
    run_file = read_run_file(path)
    record = read_record(folder)
    file = _weights_file(folder, weights)
    with trusting(trust, run_file, path):
        model = build_model(run_file, path).to(dtype=_float_dtype(run_file))
    epoch = load_found(file, model, None) if weights == "best" else record.epoch
    if weights == "last":
        load_found(file, model, None)
    preparation = _preparation(folder, run_file)
    if changed := changed_versions(run_file.provenance):
        warn_user(changed)
    named = f"{_described(weights, record)}, epoch {epoch}"
    return TrainedRun(folder, model.to(device).eval(), named, run_file, preparation, record, trust)


def _float_dtype(run_file: RunFile) -> torch.dtype | None:
    """Return the dtype that the run was trained in, whatever else its settings need."""
    names = {"dtype", "precision"} & run_file.train.keys()
    return TrainConfig(**{name: run_file.train[name] for name in names}).float_dtype


def _check_folder(folder: Path) -> None:
    if folder.is_dir() and (folder / RUN_FILE).exists() and not (folder / FOLDS).exists():
        return
    advice = "Name a folder that perceptrain train wrote, such as runs/NAME."
    if (folder / FOLDS).exists() or (folder / "fold_1").is_dir():
        advice = f"It has a run for each fold: name one of them, such as {folder / 'fold_1'}."
    elif folder.name == RUN_FILE:
        advice = f"Name its folder, {folder.parent}."
    elif folder.suffix == ".toml" and folder.is_file():
        advice = f"It is a run file: perceptrain train {folder} trains it, and names the folder."
    elif folder.is_file():
        advice = f"It is a file. {advice}"
    elif not folder.exists():
        advice = f"It does not exist. {advice}"
    raise ConfigError(f"{folder} is not the folder of a run. {advice}")


def _weights_file(folder: Path, weights: str) -> Path:
    check_choice("weights", weights, _WEIGHTS)
    file = folder / WEIGHTS if weights == "last" else best_checkpoint(folder)
    if not exists(file):
        advice = (
            'Use weights="last", or train with the callback save_best_checkpoint.'
            if weights == "best"
            else "Train the run to its end, or copy the file from where it was trained."
        )
        raise CheckpointError(f"{folder} has no {file.name}. {advice}")
    return file


def _preparation(folder: Path, run_file: RunFile) -> AnyPreparation:
    """Read the preparation; predictions of a run that needs it would be wrong without it."""
    path, data = folder / PREPARATION, run_file.data
    if os.path.lexists(path):
        return read_preparation(path)
    if data.file is not None or data.standardize or data.scale_labels:
        raise DataError(
            f"{folder} has no {PREPARATION}, which says how [data] was prepared: copy the whole "
            "folder, or train again."
        )
    return None


def _described(weights: str, record: RunRecord) -> str:
    if weights == "best":
        return weights
    return "average of the epochs" if record.weights == "average" else record.weights
