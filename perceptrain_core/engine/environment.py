"""The environment variables in which a launcher describes the processes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from perceptrain_core.errors import TrainingError
from perceptrain_core.plurals import counted

_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_FIRST_PORT, _PORTS = 15_000, 15_000  # below the ephemeral ports


def launched_processes() -> int:
    """Return how many processes a launcher has started, of which this is one; 1 if none has.

    In a job step of Slurm with several tasks, set the variables that ``torchrun`` would set.

    Raises:
        TrainingError: Some of the variables are missing or invalid.
    """
    os.environ.update(slurm_variables(os.environ))
    given = {name: os.environ[name] for name in _NEEDED if name in os.environ}
    if "RANK" not in given and given.get("WORLD_SIZE", "1") == "1":
        return 1
    first, second = (_number(given, name) for name in ("RANK", "WORLD_SIZE"))
    if first >= second:
        raise TrainingError(f"RANK={first}, but WORLD_SIZE={second}: ranks are counted from 0.")
    if second > 1:
        for name in _NEEDED:
            _require(given, name)
    return second


def _number(given: Mapping[str, str], name: str) -> int:
    _require(given, name)
    if not given[name].isdecimal():
        raise TrainingError(f"The environment variable {name}={given[name]!r}: expected a number.")
    return int(given[name])


def _require(given: Mapping[str, str], name: str) -> None:
    if name not in given:
        shown = ", ".join(f"{key}={value}" for key, value in given.items())
        raise TrainingError(
            f"The environment has {shown}, but no {name}. A launcher sets {', '.join(_NEEDED)} "
            "for each process: set all, start with torchrun, or set none to train in one process."
        )


def slurm_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of ``torchrun`` for a process that Slurm's ``srun`` has started.

    Args:
        environment: The environment of the process.

    Returns:
        Nothing if other variables describe the processes already, or if this is not one of
        several tasks of a job step. ``MASTER_ADDR`` and ``MASTER_PORT`` are kept if they are set.

    Raises:
        TrainingError: A variable of Slurm is not as Slurm writes it.
    """
    of_step, of_job = "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"
    tasks = environment.get(of_step, environment.get(of_job, "1"))
    is_step = {"SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_PROCID"} <= environment.keys()
    if {"RANK", "WORLD_SIZE"} & environment.keys() or not is_step or tasks in ("0", "1"):
        return {}
    job, step = (_number(environment, name) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    nodes = environment.get("SLURM_STEP_NODELIST", environment.get("SLURM_JOB_NODELIST", ""))
    host = environment.get("MASTER_ADDR") or first_host(nodes)
    if not host:
        raise TrainingError(
            f"Slurm has started {tasks} tasks, but SLURM_STEP_NODELIST={nodes!r} has no host to "
            "connect them: set MASTER_ADDR to the host of the first task."
        )
    per_node = environment.get("SLURM_STEP_TASKS_PER_NODE", environment.get("SLURM_TASKS_PER_NODE"))
    with_defaults = {"SLURM_LOCALID": "0", "SLURM_NODEID": "0", **environment}
    found = {
        "RANK": str(_number(environment, "SLURM_PROCID")),
        "WORLD_SIZE": str(_number(environment, of_step if of_step in environment else of_job)),
        "LOCAL_RANK": str(_number(with_defaults, "SLURM_LOCALID")),
        "MASTER_ADDR": host,
        "MASTER_PORT": environment.get(
            "MASTER_PORT", str(_FIRST_PORT + (31 * job + step) % _PORTS)
        ),
    }
    if per_node:
        found["LOCAL_WORLD_SIZE"] = str(_tasks_of(_number(with_defaults, "SLURM_NODEID"), per_node))
    return found


def _tasks_of(node: int, per_node: str) -> int:
    counts = task_counts(per_node)
    if node >= len(counts):
        raise TrainingError(
            f"SLURM_NODEID={node}, but the tasks per node, {per_node!r}, are those of "
            f"{counted(len(counts), 'node')}. Expected a number for each node, such as '2(x3),1', "
            "in SLURM_STEP_TASKS_PER_NODE or SLURM_TASKS_PER_NODE: correct it, or start with "
            "torchrun."
        )
    return counts[node]


def has_gpus_of_its_own(environment: Mapping[str, str]) -> bool:
    """Whether this process sees GPUs that the other processes of its machine do not see.

    This is so after ``srun --gpus-per-task=1``, and if Slurm binds GPUs to single tasks. The
    processes of ``torchrun``, ``nprocs`` and ``srun --gres=gpu:1`` all see the same GPUs: a single
    visible one says nothing.

    Args:
        environment: The environment of the process.
    """
    if "TORCHELASTIC_RUN_ID" in environment:
        return False
    # Slurm says "none" if it does not bind them, and "closest" may be the same for several tasks.
    binding = environment.get("SLURM_GPU_BIND", "").split(",")
    if "none" in binding:
        return False
    own = any(each == "single:1" or each.startswith("per_task:") for each in binding)
    return own or "SLURM_GPUS_PER_TASK" in environment


def first_host(nodes: str) -> str:
    """Return the first host of a list as Slurm writes it: ``"n[07-09,12],m1"`` is ``"n07"``."""
    match = re.match(r"([^,\[]*)(?:\[(\w+)[^\]]*\]([^,\[]*))?", nodes)
    return "".join(part or "" for part in match.groups()) if match else nodes


def task_counts(text: str) -> list[int]:
    """Return the tasks of each node as Slurm writes them: ``"2(x3),1"`` is ``[2, 2, 2, 1]``."""
    parts = re.findall(r"(\d+)(?:\(x(\d+)\))?", text)
    return [int(count) for count, times in parts for _ in range(int(times or 1))]
