"""Processes as users have them: fresh interpreters, which take their time to start."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from perceptrain.errors import TrainingError
from perceptrain_core.engine.distributed import DistributedEngine, require_gpus
from perceptrain_core.engine.launch import run_in_processes
from perceptrain_core.engine.process_settings import ProcessSettings
from perceptrain_core.engine.worker import START

from ..forked import ForkServer

PARENT = """
import os, subprocess, sys
worker = "-P", "-c", sys.argv[2], sys.argv[1], str(os.getpid())
print(subprocess.Popen([sys.executable, *worker], stdout=subprocess.DEVNULL).pid)
"""


@pytest.mark.slow
def test_a_process_ends_with_the_one_that_started_it_and_cleans_up(tmp_path: Path) -> None:
    folder = tmp_path / "task"
    folder.mkdir()
    with (folder / "task.pkl").open("wb") as file:
        cloudpickle.dump(sys.path, file)
        cloudpickle.dump(1, file)
        cloudpickle.dump(ProcessSettings.of_this_process(), file)
        cloudpickle.dump((time.sleep, (600,)), file)
    done = subprocess.run(
        [sys.executable, "-c", PARENT, str(folder), START],
        env={**os.environ, "RANK": "0"},
        stdout=subprocess.PIPE,
        check=True,
    )
    deadline = time.monotonic() + 60
    while _runs(int(done.stdout)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert not folder.exists()


def _runs(pid: int) -> bool:
    # Nobody may be there to collect it, and then its entry stays.
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.usefixtures("real_workers")
def test_a_process_imports_what_its_parent_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("numpy", "pickle", "torch", "cloudpickle"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from here')")
    (tmp_path / "added").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("added")

    def look() -> Any:
        import numpy

        return sys.path, numpy.__file__

    path, numpy = run_in_processes(look, 2)
    assert path == sys.path
    assert Path(numpy).parent.parent != tmp_path


# A notebook runs its cells inside a running event loop, and its __main__ has no file.
NOTEBOOK = """
import asyncio, sys

CELLS = [
'''
import torch
from torch import nn
from perceptrain import TrainConfig, Trainer

scale = 2.0
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)
    def forward(self, x):
        return scale * self.linear(x)

def loss_fn(batch, model):
    return model(batch[0]).square().mean(), {}
''',
'''
stopped = []
config = TrainConfig(max_iter=3, nprocs=2, batch_size=2, verbose=False, tracking_tool="none",
                     trainstop_criterion=lambda result: stopped.append(1))
trainer = Trainer(Net(), "adam", config, loss_fn, torch.ones(8, 2))
model, optimizer, history = *trainer.fit(), trainer.history
''',
'''
print(type(model).__name__, len(history), len(optimizer.state), "__file__" in globals())
''',
]

async def run_cells():
    for cell in CELLS:
        exec(cell, vars(sys.modules["__main__"]))

asyncio.run(run_cells())
"""


def test_a_notebook_trains_in_several_processes(forks: ForkServer, tmp_path: Path) -> None:
    forking = str(Path(__file__).parents[1] / "forking.py")
    ended = forks.run(forking, "-c", NOTEBOOK, cwd=tmp_path)
    assert ended.stdout == "Net 3 2 False\n", ended.stderr


def test_each_process_needs_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    require_gpus(1)
    with pytest.raises(TrainingError, match=r"2 processes, but this machine has 1 GPU:.*nprocs=1"):
        require_gpus(2)


@pytest.mark.parametrize(("backend", "nearest"), [("glo", "gloo"), ("cpu:gloo,cuda:ncll", "nccl")])
def test_an_unknown_backend_is_refused_with_the_nearest(backend: str, nearest: str) -> None:
    with pytest.raises(
        TrainingError, match=f"expected 'auto', 'gloo', .* Did you mean '{nearest}'"
    ):
        DistributedEngine(backend=backend)
