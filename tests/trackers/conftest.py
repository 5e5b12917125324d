from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..forked import ForkServer


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, for runs write where they are; pictures need no screen."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    return tmp_path


@pytest.fixture
def python(tmp_path: Path, forks: ForkServer) -> Callable[..., str]:
    """Run code in a process that sees the modules of an own folder; return what it prints."""

    def run(code: str, *arguments: Any, **environ: str) -> str:
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        strict = f"import warnings; warnings.simplefilter('error')\n{code}"
        env = os.environ | {"PYTHONPATH": path} | environ
        done = forks.run("-c", strict, *map(str, arguments), cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def draw() -> Callable[..., tuple[str, Any]]:
    """A plotting function that makes its figure by pyplot, which keeps it until it is closed."""

    def residuals(model: Any, iteration: int) -> tuple[str, Any]:
        from matplotlib import pyplot

        figure, axes = pyplot.subplots(figsize=(1, 1))
        axes.plot([0, iteration])
        return "line", figure

    return residuals
