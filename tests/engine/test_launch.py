from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import cloudpickle
import pytest

from perceptrain.errors import TrainingError
from perceptrain_core.engine.distributed import DistributedEngine, require_gpus
from perceptrain_core.engine.launch import run_in_processes

PARENT = """
import os, subprocess, sys
worker = "-m", "perceptrain_core.engine.worker", sys.argv[1], str(os.getpid())
print(subprocess.Popen([sys.executable, *worker], stdout=subprocess.DEVNULL).pid)
"""


def test_a_process_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    with (tmp_path / "task.pkl").open("wb") as file:
        cloudpickle.dump((sys.path, 1), file)
        cloudpickle.dump((time.sleep, (600,)), file)
    done = subprocess.run(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        env={**os.environ, "RANK": "0"},
        stdout=subprocess.PIPE,
        check=True,
    )
    deadline = time.monotonic() + 60
    while _runs(int(done.stdout)):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _runs(pid: int) -> bool:
    # Nobody may be there to collect it, and then its entry stays.
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_process_that_dies_without_a_word() -> None:
    with pytest.raises(TrainingError, match="ended with exit code 9 and left no error"):
        run_in_processes(os._exit, 2, 9)


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
