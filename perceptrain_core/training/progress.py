"""A progress bar over the epochs, drawn a few times a second at most."""

from __future__ import annotations

from time import perf_counter
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class ProgressBar:
    """What the loop tells while it runs; this one shows nothing."""

    def __enter__(self) -> Self:
        """Start."""
        return self

    def __exit__(self, *error: object) -> None:
        """End."""

    def batch(self, epoch: int, batch: int, batches: int | None) -> None:
        """Take that a batch is done, of so many if that is known."""

    def epoch(self, epoch: int, row: dict[str, float]) -> None:
        """Take that an epoch is complete, with its row of the history."""


class RichBar(ProgressBar):
    """Epochs done, time used and left, and the last losses.

    Args:
        total: Epochs of the whole run.
        done: Those that a resumed run has behind it.
    """

    INTERVAL = 0.2

    def __init__(self, total: int, done: int = 0) -> None:
        # Drawn by hand: a thread that draws would take time from the steps.
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.total:.0f}"),
            BarColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
            auto_refresh=False,
        )
        self._task = self._progress.add_task("", total=total, completed=done, epoch=done, losses="")
        self._total = total
        self._row: dict[str, float] = {}
        self._last = 0.0

    def __enter__(self) -> Self:
        """Show the bar."""
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the bar as it was at the end."""
        self._progress.refresh()
        self._progress.stop()

    def batch(self, epoch: int, batch: int, batches: int | None) -> None:
        """Move the bar inside an epoch, if it was not moved just now."""
        if perf_counter() - self._last >= self.INTERVAL:
            # A loader may give more batches than its length says.
            self._draw(epoch, epoch - 1 + (min(batch / batches, 1) if batches else 0))

    def epoch(self, epoch: int, row: dict[str, float]) -> None:
        """Take the losses of an epoch, and move the bar if it was not moved just now."""
        self._row = row
        if perf_counter() - self._last >= self.INTERVAL or epoch == self._total:
            self._draw(epoch, epoch)

    def _draw(self, epoch: int, completed: float) -> None:
        self._last = perf_counter()
        names = [name for name in ("train_loss", "val_loss") if name in self._row]
        losses = "  ".join(f"{name} {self._row[name]:.4g}" for name in names)
        self._progress.update(
            self._task, completed=completed, epoch=epoch, losses=losses, refresh=True
        )


def make_bar(show: bool, total: int, done: int = 0) -> ProgressBar:
    """Make a bar where there is a terminal or a notebook to show it, else none."""
    if not show:
        return ProgressBar()
    console = Console()
    return RichBar(total, done) if console.is_terminal or console.is_jupyter else ProgressBar()
