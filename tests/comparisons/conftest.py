from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from perceptrain_core.comparisons import pool

from ..forked import ForkServer

RUN = """
[model]
name = "ffnn"
layers = [2, 8, 1]
[data]
name = "./code.py:rows"
val_fraction = 0.25
test_fraction = 0.25
scale_labels = true
[optimizer]
name = "adam"
lr = 0.05
[train]
max_iter = 4
batch_size = 8
"""
CODE = """
import torch

def rows():
    x = torch.rand(40, 2, generator=torch.Generator().manual_seed(7))
    return x, 50 + 10 * x.sum(dim=1, keepdim=True)

def broken(batch, model, *, at=0):
    raise ValueError("broken on purpose")
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a run file and the code that it names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(RUN)
    (tmp_path / "code.py").write_text(CODE)
    return tmp_path


@pytest.fixture
def forked_jobs(forks: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the processes of comparisons that start here; those of commands always are."""
    popen = SimpleNamespace(Popen=forks.start_job_worker, PIPE=subprocess.PIPE)
    monkeypatch.setattr(pool, "subprocess", popen)
