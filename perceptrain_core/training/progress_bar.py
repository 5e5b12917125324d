"""A progress bar over the epochs, drawn at most a few times per second."""

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
    """The interface of a progress bar; this one shows nothing."""

    def __enter__(self) -> Self:
        """Start."""
        return self

    def __exit__(self, *error: object) -> None:
        """End."""

    def batch(self, epoch: int, batch: int, batches: int | None) -> None:
        """Report a finished batch, and the batches per epoch if known."""

    def epoch(self, epoch: int, row: dict[str, float]) -> None:
        """Report a complete epoch, with its row of the history."""


class Pace:
    """The speed of a run, measured from after its first batch, which may include preparations."""

    SMOOTH = 3.0  # seconds over which the speed is averaged

    def __init__(self) -> None:
        self.speed = 0.0  # steps per second
        self._first: tuple[float, float] | None = None
        self._then = 0.0, 0

    def measure(self, now: float, steps: int, epochs: float) -> None:
        """Record how far the run is."""
        if self._first is None:
            self._first = now, epochs
        elif now > self._then[0]:
            since = now - self._then[0]
            old = exp(-since / self.SMOOTH) if self.speed else 0.0
            self.speed = old * self.speed + (1 - old) * (steps - self._then[1]) / since
        self._then = now, steps

    def left(self, now: float, epochs: float, total: int) -> float | None:
        """Return the seconds to the end at the average speed so far, if it is known."""
        if self._first is None or epochs <= self._first[1]:
            return None
        start, done = self._first
        return (now - start) * (total - epochs) / (epochs - done)


class ShownBar(ProgressBar):
    """Epochs done, the batch in long epochs, time left, the last losses, steps per second.

    The loop draws it: a drawing thread would slow down the steps.

    Args:
        total: Epochs of the whole run.
        done: Epochs that a resumed run has already completed.
    """

    INTERVAL = 0.2  # seconds between drawings
    LONG = 1.0  # seconds; longer epochs show their batches

    def __init__(self, total: int, done: int = 0) -> None:
        self._total = total
        self._epoch = done
        self._batch = 0
        self._batches: int | None = None
        self._steps = 0
        self._row: dict[str, float] = {}
        self._long = self._ended = False
        self._start = self._epoch_start = perf_counter()
        self._last = -inf
        self._pace = Pace()

    def __enter__(self) -> Self:
        """Show the bar."""
        self._start = self._epoch_start = perf_counter()
        self.draw()
        return self

    def __exit__(self, *error: object) -> None:
        """Draw the final state, and leave it on the screen."""
        self._ended = True
        self.draw()

    def batch(self, epoch: int, batch: int, batches: int | None) -> None:
        """Redraw inside an epoch, unless it was redrawn just now."""
        self._batch = batch
        now = perf_counter()
        if now - self._last >= self.INTERVAL:
            self._batches = batches
            self._long = self._long or now - self._epoch_start > self.LONG
            self._draw_at(now)

    def epoch(self, epoch: int, row: dict[str, float]) -> None:
        """Record the losses of an epoch, and redraw unless it was redrawn just now."""
        now = perf_counter()
        self._epoch, self._row = epoch, row
        self._steps += self._batch
        self._batch = 0
        if now - self._last >= self.INTERVAL:
            self._long = now - self._epoch_start > self.LONG
            self._draw_at(now)
        self._epoch_start = now

    def draw(self) -> None:
        """Draw the current state."""
        raise NotImplementedError

    def _draw_at(self, now: float) -> None:
        self._last = now
        self._pace.measure(now, self._steps + self._batch, self.completed)
        self.draw()

    @property
    def completed(self) -> float:
        """Epochs done, including the fraction of the current one."""
        share = min(self._batch / self._batches, 1.0) if self._batches else 0.0
        return self._epoch + share

    def where(self) -> str:
        """Return the epoch, and in long epochs the batch."""
        epoch = self._epoch + (self._batch > 0)
        text = f"epoch {epoch:>{len(str(self._total))}}/{self._total}"
        batch = self._batch or self._batches  # at the end of an epoch, the last one
        if not batch or not self._long or self._ended:
            return text
        if not self._batches:
            return f"{text} batch {batch}"
        return f"{text} batch {batch:>{len(str(self._batches))}}/{self._batches}"

    def facts(self) -> list[str]:
        """Return the time, the losses and the speed, the most important first."""
        facts = [self._time()]
        facts += [
            f"{short} {self._row[name]:9.3e}"
            for name, short in (("train_loss", "loss"), ("val_loss", "val_loss"))
            if name in self._row
        ]
        speed = self._pace.speed
        if speed:
            facts.insert(2, f"{speed:{'5.0f' if speed >= 100 else '5.3g'}} steps/s")
        return facts

    def _time(self) -> str:
        now = perf_counter()
        if self._ended:
            return f"in {clock(now - self._start)}"
        left = self._pace.left(now, self.completed, self._total)
        return f"{'-:--' if left is None else clock(left)} left"


class TerminalBar(ShownBar):
    """The bar in a terminal; printed text appears above it."""

    GAP = "  "
    SHORTEST = 3

    def __init__(self, console: Console, total: int, done: int = 0) -> None:
        super().__init__(total, done)
        self._console = console
        self._live = Live(
            get_renderable=self.render,
            console=console,
            auto_refresh=False,
            # A redirected stderr must stay out of the terminal.
            redirect_stderr=sys.stderr.isatty(),
        )

    def __enter__(self) -> Self:
        """Show the bar."""
        self._live.start()
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        """Draw the final state, and leave it on the screen."""
        super().__exit__()
        self._live.stop()

    def draw(self) -> None:
        """Draw the current state."""
        self._live.refresh()

    def render(self) -> RenderableType:
        """Return one line: the epoch, the bar, and as many facts as fit."""
        where, facts = self.where(), self.facts()
        room = self._console.width - len(where) - len(self.GAP) - self.SHORTEST
        while facts and len(self.GAP.join(["", *facts])) > room:
            facts.pop()
        grid = Table.grid(expand=True)
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1)
        grid.add_column(no_wrap=True)
        line = Line(total=max(self._total, 1), completed=self.completed)
        grid.add_row(where + self.GAP, line, self.GAP.join(["", *facts]))
        return grid


class NotebookBar(ShownBar):
    """The bar below a notebook cell."""

    CELLS = 30

    def __init__(self, total: int, done: int = 0) -> None:
        super().__init__(total, done)
        self._output = NotebookOutput()

    def draw(self) -> None:
        """Draw the current state."""
        full = int(self.CELLS * self.completed / max(self._total, 1))
        line = "█" * full + "░" * (self.CELLS - full)
        text = "  ".join([self.where(), line, *self.facts()])
        self._output.show(text=text, html=f"<pre>{text}</pre>")


def make_bar(show: bool, total: int, done: int = 0) -> ProgressBar:
    """Create a bar in a terminal or a notebook, and a silent one elsewhere.

    A fit inside another fit is silent: the outer one already shows a bar.
    """
    if not show or isinstance(sys.stdout, FileProxy):
        return ProgressBar()
    console = Console()
    if in_notebook(console):
        return NotebookBar(total, done)
    return TerminalBar(console, total, done) if console.is_terminal else ProgressBar()


def clock(seconds: float) -> str:
    """Format a time as minutes and seconds, with hours and days if needed."""
    minutes, second = divmod(int(seconds + 0.5), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if not hours:
        return f"{minute}:{second:02}"
    return (
        f"{days} d {hour:02}:{minute:02}:{second:02}" if days else f"{hour}:{minute:02}:{second:02}"
    )
