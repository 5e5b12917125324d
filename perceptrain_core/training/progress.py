"""A progress bar over the epochs, drawn a few times a second at most."""

from __future__ import annotations

import sys
from math import exp, inf
from time import perf_counter
from typing import Self

from rich.console import Console, RenderableType
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.progress_bar import ProgressBar as Line
from rich.table import Table

from perceptrain_core.analysis.notebook import NotebookOutput, in_notebook


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


class ShownBar(ProgressBar):
    """Epochs done, the batch in long epochs, time left, the last losses, steps per second.

    It is drawn by the loop itself: a thread that draws would take time from the steps.

    Args:
        total: Epochs of the whole run.
        done: Those that a resumed run has behind it.
    """

    INTERVAL = 0.2  # seconds between drawings
    LONG = 1.0  # an epoch of more seconds has its batches shown
    SMOOTH = 3.0  # the speed is that of about so many seconds

    def __init__(self, total: int, done: int = 0) -> None:
        self._total = total
        self._done = done
        self._epoch = done
        self._batch = 0
        self._batches: int | None = None
        self._steps = 0
        self._row: dict[str, float] = {}
        self._long = self._ended = False
        self._start = self._epoch_start = self._last = perf_counter()
        self._speed, self._steps_then = 0.0, 0

    def __enter__(self) -> Self:
        """Show the bar."""
        self._start = self._epoch_start = perf_counter()
        self._last = -inf
        self.draw()
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the bar as it is at the end."""
        self._ended = True
        self.draw()

    def batch(self, epoch: int, batch: int, batches: int | None) -> None:
        """Move the bar inside an epoch, if it was not moved just now."""
        self._batch = batch
        now = perf_counter()
        if now - self._last >= self.INTERVAL:
            self._batches = batches
            self._long = self._long or now - self._epoch_start > self.LONG
            self._measure(now)
            self.draw()

    def epoch(self, epoch: int, row: dict[str, float]) -> None:
        """Take the losses of an epoch, and move the bar if it was not moved just now."""
        now = perf_counter()
        self._epoch, self._row = epoch, row
        self._steps += self._batch
        self._batch = 0
        if now - self._last >= self.INTERVAL:
            self._long = now - self._epoch_start > self.LONG
            self._measure(now)
            self.draw()
        self._epoch_start = now

    def draw(self) -> None:
        """Show the bar as it is now."""
        raise NotImplementedError

    def _measure(self, now: float) -> None:
        """Let the speed since the last drawing count by how long ago that was."""
        steps = self._steps + self._batch
        since = now - max(self._last, self._start)
        if since > 0:
            speed = (steps - self._steps_then) / since
            old = exp(-since / self.SMOOTH) if self._speed else 0.0
            self._speed = old * self._speed + (1 - old) * speed
        self._last, self._steps_then = now, steps

    @property
    def completed(self) -> float:
        """Epochs done, with the share of the one in training."""
        return self._epoch + (self._batch / self._batches if self._batches else 0.0)

    def where(self) -> str:
        """Say in which epoch the run is, and in long ones in which batch."""
        epoch = self._epoch + (self._batch > 0)
        text = f"epoch {epoch:>{len(str(self._total))}}/{self._total}"
        batch = self._batch or self._batches  # at the end of an epoch, the last one
        if not batch or not self._long or self._ended:
            return text
        if not self._batches:
            return f"{text} batch {batch}"
        return f"{text} batch {batch:>{len(str(self._batches))}}/{self._batches}"

    def facts(self) -> list[str]:
        """Say how it goes, the most important first."""
        facts = [self._time()]
        facts += [
            f"{short} {self._row[name]:9.3e}"
            for name, short in (("train_loss", "loss"), ("val_loss", "val_loss"))
            if name in self._row
        ]
        if self._speed:
            facts.insert(2, f"{self._speed:{'5.0f' if self._speed >= 100 else '5.3g'}} steps/s")
        return facts

    def _time(self) -> str:
        used = perf_counter() - self._start
        if self._ended:
            return f"in {clock(used)}"
        done = self.completed - self._done
        left = used * (self._total - self.completed) / done if done else None
        return f"{'-:--' if left is None else clock(left)} left"


class TerminalBar(ShownBar):
    """The bar in a terminal; what is printed meanwhile stands above it."""

    GAP = "  "
    SHORTEST = 4

    def __init__(self, console: Console, total: int, done: int = 0) -> None:
        super().__init__(total, done)
        self._console = console
        self._live = Live(
            get_renderable=self.render,
            console=console,
            auto_refresh=False,
            # What goes to a file is to stay out of the terminal.
            redirect_stderr=sys.stderr.isatty(),
        )

    def __enter__(self) -> Self:
        """Show the bar."""
        self._live.start()
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        """Leave the bar as it is at the end."""
        super().__exit__()
        self._live.stop()

    def draw(self) -> None:
        """Show the bar as it is now."""
        self._live.refresh()

    def render(self) -> RenderableType:
        """Give one line: where the run is, the bar, and as many facts as there is room for."""
        where, facts = self.where(), self.facts()
        room = self._console.width - len(where) - len(self.GAP) - self.SHORTEST
        while len(self.GAP.join(["", *facts])) > room:
            facts.pop()
        grid = Table.grid(expand=True)
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1)
        grid.add_column(no_wrap=True)
        line = Line(total=max(self._total, 1), completed=self.completed)
        grid.add_row(where + self.GAP, line, self.GAP.join(["", *facts]))
        return grid


class NotebookBar(ShownBar):
    """The bar below a cell of a notebook."""

    CELLS = 30

    def __init__(self, total: int, done: int = 0) -> None:
        super().__init__(total, done)
        self._output = NotebookOutput()

    def draw(self) -> None:
        """Show the bar as it is now."""
        full = int(self.CELLS * self.completed / max(self._total, 1))
        line = "█" * full + "░" * (self.CELLS - full)
        text = "  ".join([self.where(), line, *self.facts()])
        self._output.show(text=text, html=f"<pre>{text}</pre>")


def make_bar(show: bool, total: int, done: int = 0) -> ProgressBar:
    """Make a bar where there is a terminal or a notebook to show it, else none.

    A fit inside another shows none: the bar of the outer one is there.
    """
    if not show or isinstance(sys.stdout, FileProxy):
        return ProgressBar()
    if in_notebook():
        return NotebookBar(total, done)
    console = Console()
    return TerminalBar(console, total, done) if console.is_terminal else ProgressBar()


def clock(seconds: float) -> str:
    """Give a time as minutes and seconds, with hours and days where there are some."""
    minutes, second = divmod(int(seconds + 0.5), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if not hours:
        return f"{minute}:{second:02}"
    return (
        f"{days} d {hour:02}:{minute:02}:{second:02}" if days else f"{hour}:{minute:02}:{second:02}"
    )
