"""The programs in examples/ run, and come to the results that they promise."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from .forked import ForkServer

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_the_oscillator_is_solved(capsys: pytest.CaptureFixture[str]) -> None:
    error = runpy.run_path(str(EXAMPLES / "oscillator.py"))["main"](epochs=1500)
    assert error < 0.1
    assert f"{error:.2e}" in capsys.readouterr().out


def test_losses_of_ones_own_and_by_name_beat_a_guess() -> None:
    errors = runpy.run_path(str(EXAMPLES / "own_loss.py"))["main"](epochs=40)
    assert errors["scaled_mse"] < 0.8 * errors["guess"]
    assert errors["huber"] < 0.8 * errors["guess"]


def test_the_run_file_fits_together(tmp_path: Path, forks: ForkServer) -> None:
    command = ["-m", "perceptrain_core.cli.main", "train", str(EXAMPLES / "digits.toml")]
    done = forks.run(*command, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "train_accuracy" in done.stdout
    assert not list(tmp_path.iterdir())


def test_every_example_is_tested() -> None:
    tested = {"digits.toml", "oscillator.py", "own_loss.py"}
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == tested
