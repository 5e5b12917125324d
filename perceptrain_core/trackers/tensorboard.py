"""The ``tensorboard`` tracker: metrics, hyperparameters and figures as event files."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import MissingDependencyError, TrainingError
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.trackers.figures import PlottingFunctions, figures
from perceptrain_core.trackers.settings import flat
from perceptrain_core.types import Loader

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoardTracker(Tracker):
    """Write event files for TensorBoard to the folder of the run.

    Raises:
        MissingDependencyError: TensorBoard is not installed.
    """

    def __init__(self) -> None:
        if find_spec("tensorboard") is None:
            raise MissingDependencyError(
                "The tracker 'tensorboard' needs the package tensorboard: "
                'pip install "perceptrain-core[tensorboard]", or choose tracking_tool="csv".'
            )
        self._writer: SummaryWriter | None = None
        self._step_writer: SummaryWriter | None = None
        self._folder: Path | None = None
        self._purge_step: int | None = None

    @property
    def writer(self) -> SummaryWriter:
        """The ``SummaryWriter`` of torch, created on first use.

        Raises:
            TrainingError: The tracker is not open.
        """
        if self._writer is None:
            self._writer = self._new_writer("", self._purge_step)
        return self._writer

    def _new_writer(self, subfolder: str, purge_step: int | None) -> SummaryWriter:
        if self._folder is None:
            raise TrainingError("The tracker is not open: call open(config) first.")
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self._folder / subfolder), purge_step=purge_step)

    def open(self, config: TrainConfig, iteration: int = 0) -> None:
        """Set the folder; epochs after this one are purged from earlier event files."""
        self._folder = Path(config.log_folder)
        self._purge_step = iteration + 1 if iteration else None

    def close(self) -> None:
        """Flush and close the event file."""
        for writer in (self._writer, self._step_writer):
            if writer is not None:
                writer.close()
        self._writer = self._step_writer = self._folder = None

    def write(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Add each metric as a scalar."""
        for name, value in metrics.items():
            self.writer.add_scalar(name, float(value), iteration)

    def write_step(self, step: int, iteration: int, metrics: Mapping[str, float]) -> None:
        """Add each metric as a scalar, to event files in the subfolder ``steps``.

        TensorBoard shows them as a run of their own, whose axis has steps instead of epochs.
        """
        if self._step_writer is None:
            self._step_writer = self._new_writer("steps", step)
        for name, value in metrics.items():
            self._step_writer.add_scalar(name, float(value), step)

    def log_hyperparams(self, hyperparams: Mapping[str, Any]) -> None:
        """Add the hyperparameters as a table."""
        rows = [f"| {_cell(name)} | {_cell(value)} |" for name, value in flat(hyperparams).items()]
        self.writer.add_text("hyperparams", "\n".join(["| name | value |", "|---|---|", *rows]))

    def plot(
        self,
        model: nn.Module,
        iteration: int,
        plotting_functions: PlottingFunctions,
    ) -> None:
        """Add each figure."""
        for name, figure in figures(model, iteration, plotting_functions):
            self.writer.add_figure(name, figure, iteration)

    def log_model(
        self,
        model: nn.Module,
        train_dataloader: Loader | None = None,
        val_dataloader: Loader | None = None,
        test_dataloader: Loader | None = None,
    ) -> None:
        """Save the weights as ``model.pt`` next to the event file."""
        torch.save(model.state_dict(), Path(self.writer.log_dir) / "model.pt")


def _cell(value: Any) -> str:
    """Format a table cell: escape bars and join lines, which would break the table."""
    return " ".join(str(value).replace("|", "\\|").split())
