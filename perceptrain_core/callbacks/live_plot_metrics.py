"""The ``live_plot_metrics`` callback: draw the curves of a run while it trains."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from perceptrain_core.analysis.curves import draw_curves, metric_names, require_matplotlib
from perceptrain_core.analysis.notebook import NotebookOutput, in_notebook
from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import CallbackError
from perceptrain_core.suggestions import did_you_mean
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.types import TrainingStage
from perceptrain_core.user_warnings import warn_user

FILE = "live.png"


class LivePlotMetrics(Callback):
    """Draw the curves so far: in a notebook as an output that is updated, elsewhere as a file.

    The file is ``live.png`` in the folder of the run, replaced atomically. Drawing uses at most 5%
    of the run time: calls that come too soon are skipped. The picture at the end of the run shows
    every epoch.

    Args:
        on: Any stage except the batch stages, since the history has one row per epoch.
        called_every: The number of epochs between two pictures.
        arrange: The panels: a mapping of titles to lists of metrics, by their names in the history,
            e.g. ``{"training": ["train_loss", "train_pde"]}``. By default there is one panel each
            for losses, accuracies, weights and other metrics.

    Raises:
        CallbackError: An argument is not valid, or a name in ``arrange`` cannot be a metric.
        MissingDependencyError: matplotlib is not installed.
    """

    stages = frozenset(stage for stage in TrainingStage if "batch" not in stage)
    #: Seconds to wait for each second that the last drawing took.
    PAUSE = 19.0

    def __init__(
        self,
        on: TrainingStage | str = TrainingStage.TRAIN_EPOCH_END,
        called_every: int = 1,
        arrange: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(on, called_every)
        require_matplotlib()
        self.arrange = None if arrange is None else _checked(arrange)
        self._reset()

    def _reset(self) -> None:
        self._output = NotebookOutput() if in_notebook() else None
        self._next = 0.0
        self._drawn = 0
        self._warned = False

    def begin_run(self, trainer: TrainerContext, resumed: bool) -> None:
        """Start a new picture, and refuse validation metrics in a run without validations."""
        self._reset()
        wanted = [n for n in self._wanted() if n.startswith("val_")]
        if wanted and not trainer.config.validates:
            raise CallbackError(
                f"arrange names {', '.join(wanted)}, but this run has no validation: set "
                "val_every and pass validation data, or leave them out."
            )

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Draw, unless it is too soon after the last drawing."""
        if trainer.history and perf_counter() >= self._next:
            self._draw(trainer)

    def end_run(self, trainer: TrainerContext) -> None:
        """Draw the epochs since the last drawing."""
        if len(trainer.history) > self._drawn:
            self._draw(trainer)

    def _draw(self, trainer: TrainerContext) -> None:
        if trainer.opt_result.rank:  # the first process draws
            return
        start = perf_counter()
        self._warn_of_unknown(metric_names(trainer.history))
        png = draw_curves(trainer.history, self.arrange).png()
        if self._output is None:
            _replace(trainer.log_folder / FILE, png)
        else:
            self._output.show(png=png, text=f"<Curves of {len(trainer.history)} epochs>")
        if self._drawn:  # the first drawing also loads fonts, so its time is not typical
            now = perf_counter()
            self._next = now + self.PAUSE * (now - start)
        self._drawn = len(trainer.history)

    def _wanted(self) -> list[str]:
        return [name for names in (self.arrange or {}).values() for name in names]

    def _warn_of_unknown(self, available: list[str]) -> None:
        """Warn once about metrics that the run does not have."""
        validated = any(name.startswith("val_") for name in available)
        unknown = [
            name
            for name in self._wanted()
            if name not in available and (validated or not name.startswith("val_"))
        ]
        if not unknown or self._warned:
            return
        self._warned = True
        hints = dict.fromkeys(did_you_mean(name, available) for name in unknown)
        warn_user(
            f"LivePlotMetrics cannot draw {', '.join(unknown)}: the metrics of this run are "
            f"{', '.join(available)}.{''.join(hints)}"
        )


def _checked(arrange: Any) -> dict[str, list[str]]:
    expected = "arrange maps titles to lists of metrics, e.g. {'training': ['train_loss']}"
    if not isinstance(arrange, Mapping) or not arrange:
        raise CallbackError(f"{expected}; got {arrange!r:.80}.")
    for title, names in arrange.items():
        if isinstance(names, str) or not isinstance(names, Sequence) or not names:
            raise CallbackError(f"{expected}; {title!r} has {names!r:.80}.")
        for name in names:
            if not (isinstance(name, str) and name.startswith(("train_", "val_"))):
                raise CallbackError(
                    f"arrange names {name!r} under {title!r}, which is not a metric: use "
                    "train_loss, train_NAME, val_loss, val_NAME."
                )
    return {str(title): list(names) for title, names in arrange.items()}


def _replace(path: Path, content: bytes) -> None:
    """Replace a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)
