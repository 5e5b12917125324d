"""The progress bar, told of epochs and batches, and in a real fit."""

from __future__ import annotations

import io
import os
import pty
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.file_proxy import FileProxy

from perceptrain import Trainer
from perceptrain_core.training import progress_bar
from perceptrain_core.training.progress_bar import (
    ProgressBar,
    ShownBar,
    TerminalBar,
    clock,
    make_bar,
)

from ..forked import ForkServer

ROW = {"train_loss": 0.5, "val_loss": 0.125, "train_more": 7.0}


class Drawn(ShownBar):
    """A bar whose clock is set by the test, and that keeps what it showed."""

    now = 0.0

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.lines: list[str] = []

    def draw(self) -> None:
        self.lines.append("  ".join([self.where(), *self.facts()]))


@pytest.fixture
def bar(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """A bar of 10 epochs, at second 0."""
    monkeypatch.setattr(Drawn, "now", 0.0)
    monkeypatch.setattr(progress_bar, "perf_counter", lambda: Drawn.now)
    return Drawn(10)


def test_a_long_epoch_shows_its_batches(bar: Drawn) -> None:
    with bar:
        for batch in range(1, 5):
            Drawn.now = batch
            bar.batch(1, batch, 4)
        Drawn.now = 5.0
        bar.epoch(1, ROW)
    start, first, *_, last, epoch, end = bar.lines
    assert start == "epoch  0/10  -:-- left"
    assert first == "epoch  1/10  -:-- left"
    assert last == "epoch  1/10 batch 4/4  0:36 left      1 steps/s"
    assert epoch.startswith("epoch  1/10 batch 4/4  0:48 left  loss 5.000e-01  ")
    assert epoch.endswith("steps/s  val_loss 1.250e-01")
    assert end.startswith("epoch  1/10  in 0:05  loss")


def test_short_epochs_are_drawn_a_few_times_a_second(bar: Drawn) -> None:
    with bar:
        for epoch in range(1, 11):
            for batch in range(1, 101):
                Drawn.now += 0.001
                bar.batch(epoch, batch, None)
            bar.epoch(epoch, {"train_loss": 1e-12})
    assert len(bar.lines) <= 2 + 1.0 / ShownBar.INTERVAL
    assert bar.lines[-1] == "epoch 10/10  in 0:01  loss 1.000e-12   1000 steps/s"
    assert not any("batch" in line for line in bar.lines)


def test_a_resumed_run_is_not_faster_than_it_is(bar: Drawn) -> None:
    bar = Drawn(10, 8)
    with bar:
        for batch in (500, 501, 502):  # it goes on from the middle of an epoch
            Drawn.now += 1.0
            bar.batch(9, batch, 1000)
        Drawn.now += 0.5
        bar.epoch(9, {"train_loss": float("nan")})
    assert bar.lines[3] == "epoch  9/10 batch  502/1000  24:58 left      1 steps/s"
    assert "loss       nan" in bar.lines[4]


def test_the_speed_follows_the_last_seconds(bar: Drawn) -> None:
    with bar:
        for batch in range(1, 101):
            Drawn.now += 0.1 if batch <= 50 else 1.0
            bar.batch(1, batch, 100)
    assert bar.lines[-1].endswith("      1 steps/s")


@pytest.mark.parametrize("width", [10, 20, 60, 80, 120])
def test_the_line_fits_the_terminal(width: int) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=width, color_system=None)
    bar = TerminalBar(console, 300)
    with bar:
        bar.epoch(12, ROW)
    lines = [
        re.sub(r"\x1b\S*?[A-Za-z]", "", line) for line in re.split(r"[\r\n]+", shown.getvalue())
    ]
    assert max(map(len, lines)) <= width
    text = lines[-2] if not lines[-1] else lines[-1]
    assert text.startswith("epoch  12")
    assert ("loss 5.000e-01" in text) == (width >= 60)
    assert ("val_loss 1.250e-01" in text) == (width >= 80)


def test_no_bar_without_a_place_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(make_bar(True, 3)) is ProgressBar  # pytest's output is no terminal
    assert type(make_bar(False, 3)) is ProgressBar
    monkeypatch.setattr(sys, "stdout", FileProxy(Console(), sys.stdout))
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, for rich
    assert type(make_bar(True, 3)) is ProgressBar  # the bar of an outer fit is there


@pytest.mark.parametrize("verbose", [True, False])
def test_verbose_decides_on_the_bar(
    make_trainer: Callable[..., Trainer],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verbose: bool,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in a terminal
    make_trainer(verbose=verbose).fit()
    assert ("epoch 2/2" in "".join(capsys.readouterr())) is verbose


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0:00"), (59.6, "1:00"), (3599, "59:59"), (3600, "1:00:00"), (2e5, "2 d 07:33:20")],
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


FIT = """
import sys, torch
from perceptrain import FFNN, Callback, TrainConfig, Trainer
def note(trainer, config, writer):
    print("note", trainer.current_epoch)
    print("aside", file=sys.stderr)
model = FFNN([1, 4, 1])
config = TrainConfig(max_iter=3, callbacks=[Callback(callback=note)], batch_size=5)
Trainer(model, "adam", config).fit((torch.rand(10, 1), torch.rand(10, 1)))
"""
IN_TERMINAL = """
import os, sys
os.dup2(os.open({!r}, os.O_RDWR | os.O_NOCTTY), 1)
sys.stdout = open(1, "w", 1, closefd=False)
"""


def test_a_fit_in_a_terminal_and_in_a_pipe(tmp_path: Path, forks: ForkServer) -> None:
    piped = forks.run("-c", FIT, cwd=tmp_path)
    piped.check_returncode()
    assert piped.stdout == "note 1\nnote 2\nnote 3\n"
    assert piped.stderr == "aside\n" * 3

    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    started = forks.run(
        "-c", IN_TERMINAL.format(os.ttyname(theirs)) + FIT, cwd=tmp_path, env=environment
    )
    started.check_returncode()
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert started.stderr == "aside\n" * 3  # what goes to a file is not diverted
    for epoch in (1, 2, 3):  # the line is cleared, the note is written, the bar comes below
        assert f"\x1b[2Knote {epoch}\r\n" in shown
    assert re.search(r"epoch 3/3\S* .*in 0:0\d  loss \d", shown)
