"""A cross-validation from a run file: a run for each fold, and a table of their figures."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import tomli_w

from perceptrain_core.checkpoints.folder import base_folder, list_checkpoints, newest_run_folder
from perceptrain_core.errors import CheckpointError, ConfigError
from perceptrain_core.runs.build import build_run, complete_config
from perceptrain_core.runs.data_paths import data_with_paths
from perceptrain_core.runs.file_names import FOLDS, RUN_FILE, VAL
from perceptrain_core.runs.folder import (
    complete_tables,
    discarded_if_empty,
    write_results,
    write_run_file,
)
from perceptrain_core.runs.paths import absolute_references
from perceptrain_core.runs.read import read_run_file
from perceptrain_core.runs.run import Run
from perceptrain_core.runs.tables import RunFile
from perceptrain_core.training.cross_validation import FoldScores
from perceptrain_core.training.run_folder import new_run_folder

#: Called with the number of a fold and its run.
Started: TypeAlias = Callable[[int, Run], None]


class CrossValidation:
    """The runs of a run file with ``folds`` in ``[data]``, one for each fold.

    Args:
        run_file: The tables.
        path: The file that they come from.

    Attributes:
        scores: The figures of the folds so far.
        folders: The folders of the runs that were trained.
        stop_signal: The signal that ended the training, ``"SIGINT"`` or ``"SIGTERM"``; or ``None``.

    Raises:
        ConfigError: The settings are wrong.
    """

    def __init__(self, run_file: RunFile, path: Path) -> None:
        self.run_file, self.path = run_file, path
        self.config = complete_config(run_file, path)
        self.scores = FoldScores([])
        self.folders: list[Path] = []
        self.stop_signal: str | None = None

    def build(self, fold: int, folder: Path | None = None) -> Run:
        """Build the run of a fold, counted from 1.

        Args:
            fold: The fold.
            folder: The folder of the cross-validation; the one that the settings name by default.

        Raises:
            ConfigError: A part cannot be built.
        """
        base = base_folder(self.config)
        place = self.config.log_folder / (folder or base).relative_to(base) / f"fold_{fold}"
        own = {"log_folder": str(place), "create_subfolder_per_run": False, "resume": False}
        data = self.run_file.data.model_copy(update={"fold": fold})
        train = {**self.run_file.train, **own}
        return build_run(self.run_file.model_copy(update={"data": data, "train": train}), self.path)

    def train(self, resume: bool = False, started: Started | None = None) -> Path:
        """Train the runs, and write their figures to ``folds.json``.

        The run of each fold has the subfolder ``fold_1`` and so on, with its figures in
        ``val.json``, and in ``test.json`` if there are test data.

        Args:
            resume: Continue the newest cross-validation: folds that are complete are kept, the run
                that was interrupted is resumed, and the missing ones are trained.
            started: Called with each fold and its run before it trains.

        Returns:
            The folder.

        Raises:
            CheckpointError: There is nothing to resume.
            ConfigError: The one to resume has other data, or there are several processes.
        """
        resume = resume or bool(self.config.resume)
        folder = self._folder_to_resume() if resume else new_run_folder(self.config)
        base = base_folder(self.config).absolute()
        with discarded_if_empty(base, folder.absolute):
            if not self._train_folds(folder, resume, started):
                return folder
        figures = {"mean": self.scores.mean, "std": self.scores.std, "folds": self.scores.rows}
        write_results(folder / FOLDS, figures)
        return folder

    def _train_folds(self, folder: Path, resume: bool, started: Started | None) -> bool:
        """Train all folds; return whether no signal ended the training."""
        folds = self.run_file.data.folds or 0
        for fold in range(1, folds + 1):
            with _noting(fold, folds):
                row = self._train_fold(fold, folder, resume, started)
            if row is None:
                return False
            self.scores.rows.append(row)
        return True

    def _train_fold(
        self, fold: int, folder: Path, resume: bool, started: Started | None
    ) -> dict[str, float] | None:
        """Return the figures of a fold, trained if need be; ``None`` if a signal ended it."""
        run = self.build(fold, folder)
        if run.trainer.engine.world_size > 1:
            raise ConfigError(
                "folds cannot be trained under torchrun: use nprocs in [train], or train one "
                "fold with --set data.fold=1."
            )
        if fold == 1:
            write_run_file(folder, self.run_file, self.config, run.trainer.provenance)
        row = _finished(run) if resume else None
        if row is None:
            if started is not None:
                started(fold, run)
            row = self._train(run, resume)
        return row

    def _train(self, run: Run, resume: bool) -> dict[str, float] | None:
        """Train a fold, and return its figures; ``None`` if a signal ended it."""
        saved = list_checkpoints(newest_run_folder(run.trainer.config))
        self.folders.append(run.train(resume and bool(saved)))
        self.stop_signal = run.trainer.stop_signal
        if self.stop_signal is not None:
            return None
        return _validation(run.evaluate())

    def _folder_to_resume(self) -> Path:
        base = base_folder(self.config)
        found = [path for path in (base, *base.glob("*/")) if (path / "fold_1").is_dir()]
        if not found:
            raise CheckpointError(
                f"Found no cross-validation to resume in {base}: start one without --resume."
            )
        folder = max(found, key=lambda path: (path / RUN_FILE).stat().st_mtime)
        then = data_with_paths(read_run_file(folder / RUN_FILE).data)
        if then != data_with_paths(self.run_file.data):
            raise ConfigError(
                f"The cross-validation in {folder} has other options in [data], so its folds may "
                "differ: restore them, or start a new one without --resume."
            )
        return folder


@contextmanager
def _noting(fold: int, folds: int) -> Iterator[None]:
    """Add the fold to an error that may come from its rows: all but those about options."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, ConfigError):
            error.add_note(f"This happened in fold {fold} of {folds}.")
        raise


def _validation(figures: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if name.startswith("val_")}


def _finished(run: Run) -> dict[str, float] | None:
    """Return the figures of a fold that an earlier training with the same tables completed."""
    folder = base_folder(run.trainer.config)
    config = run.trainer.config
    tables = complete_tables(run.run_file, config, {})
    wanted = tomllib.loads(tomli_w.dumps(tables))
    for place in (folder, *folder.glob("*/")):
        if (place / VAL).is_file():
            text = (place / RUN_FILE).read_text(encoding="utf-8")
            then = absolute_references(tomllib.loads(text), place.absolute())
            then.pop("provenance", None)
            then["data"] = complete_tables(read_run_file(place / RUN_FILE), config, {})["data"]
            if then == wanted:
                row: dict[str, float] = json.loads((place / VAL).read_text(encoding="utf-8"))
                return row
    return None
