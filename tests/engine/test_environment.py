"""Processes that others have started: what the environment says of them."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from perceptrain import TrainConfig, Trainer
from perceptrain.errors import TrainingError
from perceptrain_core.engine import make_engine
from perceptrain_core.engine.distributed import own_gpu
from perceptrain_core.engine.environment import first_host, slurm_variables, task_counts

from ..forked import ForkServer

WHOLE = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in WHOLE.items() if name not in names}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"RANK": "1"}, "has RANK=1, but no WORLD_SIZE"),
        ({"RANK": "0"}, "has RANK=0, but no WORLD_SIZE"),
        (without("RANK"), "has WORLD_SIZE=2, .*but no RANK.*start with torchrun, or set none"),
        (without("MASTER_ADDR"), "but no MASTER_ADDR"),
        (without("MASTER_PORT"), "but no MASTER_PORT"),
        (WHOLE | {"RANK": "one"}, "RANK='one': expected a number"),
        (WHOLE | {"RANK": "2"}, "RANK=2, but WORLD_SIZE=2: ranks are counted from 0"),
    ],
)
def test_half_an_environment_is_refused(
    given: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match=message):
        make_engine()


@pytest.mark.parametrize("given", [{}, {"WORLD_SIZE": "1"}, {"RANK": "0", "WORLD_SIZE": "1"}])
def test_one_process(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert make_engine().world_size == 1


def test_a_port_in_use(forks: ForkServer, tmp_path: Path) -> None:
    with socket.create_server(("", 0)) as used:
        port = str(used.getsockname()[1])
        code = "from perceptrain_core.engine import make_engine; make_engine(timeout=5)"
        env = {**os.environ, **WHOLE, "RANK": "0", "MASTER_PORT": port}
        ended = forks.run("-c", code, cwd=tmp_path, env=env)
    assert "TrainingError: The processes could not be connected" in ended.stderr
    assert "Another program uses this port: set MASTER_PORT to another one" in ended.stderr


def test_a_backend_that_this_torch_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.distributed.is_mpi_available():
        pytest.skip("torch has MPI")
    for name, value in WHOLE.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match="torch has no MPI: use another backend than 'mpi'"):
        make_engine(backend="mpi", timeout=1)


STEP = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_ID": "0",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "2",
    "SLURM_NTASKS": "6",
    "SLURM_STEP_NUM_TASKS": "6",
    "SLURM_STEP_NODELIST": "gpu[07-09]",
    "SLURM_STEP_TASKS_PER_NODE": "2(x3)",
}


@pytest.mark.parametrize(
    ("given", "gpus", "chosen"),
    [
        ({"CUDA_VISIBLE_DEVICES": "0"}, 1, None),  # srun --gres=gpu:1
        ({"CUDA_VISIBLE_DEVICES": "0", "SLURM_GPU_BIND": "verbose,per_task:1"}, 1, 0),
        ({"CUDA_VISIBLE_DEVICES": "0", "SLURM_GPU_BIND": "single:1"}, 1, 0),
        ({"CUDA_VISIBLE_DEVICES": "0", "SLURM_GPU_BIND": "single:2"}, 1, None),
        ({"SLURM_GPUS_PER_TASK": "1", "SLURM_GPU_BIND": "none"}, 2, 1),
        ({"CUDA_VISIBLE_DEVICES": "3", "SLURM_GPUS_PER_TASK": "1"}, 1, 0),
        ({"CUDA_VISIBLE_DEVICES": "2,3", "SLURM_GPUS_PER_TASK": "2"}, 2, 0),
        ({"CUDA_VISIBLE_DEVICES": "2,3"}, 2, 1),  # srun --gpus-per-node=2
        ({}, 2, 1),
        ({}, 1, None),
        ({"CUDA_VISIBLE_DEVICES": "0", "TORCHELASTIC_RUN_ID": "none"}, 1, None),
        ({"CUDA_VISIBLE_DEVICES": "0,1", "TORCHELASTIC_RUN_ID": "none"}, 2, 1),
    ],
)
def test_the_gpu_of_the_second_task(
    given: dict[str, str], gpus: int, chosen: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm = ("SLURM_GPUS_PER_TASK", "SLURM_GPU_BIND")
    for name in ("CUDA_VISIBLE_DEVICES", *slurm, "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", **given}.items():
        monkeypatch.setenv(name, value)
    used: list[torch.device] = []
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    monkeypatch.setattr("torch.cuda.set_device", used.append)
    if chosen is None:
        with pytest.raises(TrainingError, match="2 processes, but this machine has 1 GPU"):
            own_gpu()
    else:
        assert own_gpu() == torch.device("cuda", chosen)
        assert used == [torch.device("cuda", chosen)]


def test_a_task_of_slurm() -> None:
    port = str(15_000 + 31 * 4711 % 15_000)
    found = {"RANK": "5", "WORLD_SIZE": "6", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    found |= {"MASTER_ADDR": "gpu07", "MASTER_PORT": port}
    assert slurm_variables(STEP) == found
    own = {"MASTER_ADDR": "head", "MASTER_PORT": "1234"}
    assert slurm_variables(STEP | own) == found | own


@pytest.mark.parametrize(
    "other",
    [
        STEP | {"SLURM_STEP_NUM_TASKS": "1"},
        {name: value for name, value in STEP.items() if name != "SLURM_STEP_ID"},
        STEP | {"RANK": "0", "WORLD_SIZE": "2"},
        {},
    ],
    ids=["one task", "a batch script", "torchrun in a task", "no Slurm"],
)
def test_what_is_no_task_of_several(other: dict[str, str]) -> None:
    assert slurm_variables(other) == {}


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("n1", "n1"),
        ("n1,n2", "n1"),
        ("node[01-04,07],gpu3", "node01"),
        ("node[3,5]-ib", "node3-ib"),
        ("a-[2-3].site", "a-2.site"),
    ],
)
def test_the_first_host(nodes: str, first: str) -> None:
    assert first_host(nodes) == first


def test_the_tasks_of_each_node() -> None:
    assert task_counts("2(x3),1") == [2, 2, 2, 1]
    assert task_counts("4") == [4]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SLURM_JOB_ID", "x", "SLURM_JOB_ID='x': expected a number"),
        ("SLURM_PROCID", "-1", "SLURM_PROCID='-1': expected a number"),
        ("SLURM_STEP_NUM_TASKS", "two", "SLURM_STEP_NUM_TASKS='two': expected a number"),
        ("SLURM_LOCALID", "", "SLURM_LOCALID='': expected a number"),
        ("SLURM_NODEID", "3", "SLURM_NODEID=3, .*'2[(]x3[)]', are those of 3 nodes"),
        ("SLURM_STEP_TASKS_PER_NODE", "many", "'many', are those of 0 nodes"),
        ("SLURM_STEP_NODELIST", "", "has no host to connect them: set MASTER_ADDR"),
    ],
)
def test_malformed_variables_of_slurm_are_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        slurm_variables(STEP | {name: value})


SCRIPT = """
import os, torch
from torch import nn
from perceptrain import Trainer, TrainConfig

torch.manual_seed(0)
x = torch.linspace(0, 1, 8, dtype=torch.float64).reshape(-1, 1)
config = TrainConfig(max_iter=3, batch_size=2, shuffle=False, verbose=False, tracking_tool="none")
trainer = Trainer(nn.Linear(1, 1).double(), "adam", config, "mse", (x, 2 * x))
trainer.fit()
print(os.environ["RANK"], trainer.engine.world_size, trainer.model.weight.item())
"""


def test_tasks_that_srun_starts_train_together(forks: ForkServer, tmp_path: Path) -> None:
    with socket.create_server(("", 0)) as free:
        port = str(free.getsockname()[1])
    step = STEP | {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_TASKS_PER_NODE": "2"}
    step |= {"SLURM_STEP_NODELIST": "localhost,other", "SLURM_NODEID": "0", "MASTER_PORT": port}
    with ExitStack() as stack:
        tasks: list[Any] = []
        for rank in "0", "1":
            own = step | {"SLURM_PROCID": rank, "SLURM_LOCALID": rank}
            task = forks.start("-c", SCRIPT, cwd=tmp_path, env={**os.environ, **own})
            tasks.append(stack.enter_context(task))
        texts = [task.communicate(timeout=60) for task in tasks]
    ranks, sizes, weights = zip(*(out.split() for out, _ in texts), strict=True)
    assert ranks == ("0", "1")
    assert sizes == ("2", "2")
    assert [float(weight) for weight in weights] == pytest.approx([alone()] * 2, rel=1e-12)


def alone() -> float:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Linear(1, 1).double()
    x = torch.linspace(0, 1, 8, dtype=torch.float64).reshape(-1, 1)
    config = TrainConfig(
        max_iter=3, batch_size=4, shuffle=False, verbose=False, tracking_tool="none"
    )
    Trainer(model, "adam", config, "mse", (x, 2 * x)).fit()
    return model.weight.item()
