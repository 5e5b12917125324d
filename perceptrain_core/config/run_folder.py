"""The folder of a run as ``config.log_folder`` shows it, which remembers what the user named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from perceptrain_core.config.train_config import TrainConfig


class RunFolder(type(Path())):  # type: ignore[misc]
    """The path of a run's folder.

    Scripts read ``trainer.config.log_folder`` to find the files of the run. New runs with the same
    settings must still start from the folder that the user named.

    Attributes:
        named: The ``log_folder`` that the user set. Paths derived from this one do not have it.
    """

    named: Path

    def __reduce__(self) -> tuple[Any, ...]:
        if not hasattr(self, "named"):
            return Path, (str(self),)
        return as_run_folder, (Path(self), self.named)


def show_run_folder(config: TrainConfig, folder: Path) -> None:
    """Set ``config.log_folder`` to the folder of a run.

    Args:
        config: The settings; new runs with them still start from the folder that the user named.
        folder: The folder.
    """
    config.log_folder = as_run_folder(folder, config.log_folder)


def as_run_folder(folder: Path, log_folder: Path) -> Path:
    """Return the folder of a run as a `RunFolder`.

    Args:
        folder: The folder.
        log_folder: The ``log_folder`` of the settings, as the user set it or from an earlier run.
    """
    shown = RunFolder(folder)
    shown.named = named_folder(log_folder)
    return shown


def named_folder(log_folder: Path) -> Path:
    """Return the folder that the user named, for any value of ``config.log_folder``."""
    return getattr(log_folder, "named", log_folder)
