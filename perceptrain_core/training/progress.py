"""A progress bar over the epochs, drawn a few times a second at most."""

from __future__ import annotations

from time import perf_counter
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class ProgressBar(Protocol):
    """What the loop tells while it runs."""

    def __enter__(self) -> ProgressBar:
        """Start."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        ...

    def batch(self, epoch: int, batch: int, batches: int | None) -> None:
        """Tell that a batch is done, of so many if that is known."""
        ...

    def epoch(self, epoch: int, row: dict[str, float]) -> None:
        """Tell that an epoch is complete."""
        ...


class NoBar:
    """Nothing is shown."""

    def __enter__(self) -> NoBar:
        """Nothing to start."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to end."""

    def batch(self, epoch: int, batch: int, batches: int | None) -> None:
        """Nothing to show."""

    def epoch(self, epoch: int, row: dict[str, float]) -> None:
        """Nothing to show."""


class RichBar:
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

    def __enter__(self) -> RichBar:
        """Show the bar."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bar as it was at the end."""
        self._progress.refresh()
        self._progress.stop()

    def batch(self, epoch: int, batch: int, batches: int | None) -> None:
        """Move the bar inside an epoch, if it was not moved just now."""
        if perf_counter() - self._last >= self.INTERVAL:
            self._draw(epoch, epoch - 1 + (batch / batches if batches else 0))

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
        return NoBar()
    console = Console()
    return RichBar(total, done) if console.is_terminal or console.is_jupyter else NoBar()
