"""The process group: how this process joins the others, and leaves them."""

from __future__ import annotations

import atexit
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from perceptrain_core.errors import TrainingError
from perceptrain_core.option_checks import check_choice

#: Seconds that a process waits for the others by default.
PROCESS_TIMEOUT = 600.0


@dataclass(frozen=True)
class JoinedGroup:
    """The group that this process has joined.

    Attributes:
        store: Connects the processes even when the group fails.
        timeout: Seconds that a process waits for the others.
    """

    store: Store
    timeout: float


_joined: JoinedGroup | None = None


def join_group(device: torch.device, backend: str, timeout: float) -> None:
    """Connect this process with the others that the environment variables describe.

    Args:
        device: The device of this process.
        backend: Of ``torch.distributed``; ``"auto"`` is NCCL for GPUs, Gloo for CPUs.
        timeout: Seconds to wait for the others, here and in each exchange.

    Raises:
        TrainingError: The backend is unknown or missing, a process does not come, or the port is
            in use.
    """
    global _joined
    if backend == "auto":
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    known = ["auto", *(name for name in dist.Backend.backend_list if name != "undefined")]
    for part in backend.split(","):  # each may be for a kind of device, as in cuda:nccl
        name = part.rpartition(":")[2].lower()
        check_choice("backend", name, known, error=TrainingError)
        if not dist.is_backend_available(name):
            raise TrainingError(
                f"This installation of torch has no {name.upper()}: use another backend than "
                f'{backend!r}, such as "gloo".'
            )
    store, limit = None, timedelta(seconds=timeout)
    try:
        store, rank, size = next(rendezvous("env://", timeout=limit))
        store.set_timeout(limit)
        store.set(_came(rank), "")
        dist.init_process_group(
            backend,
            store=PrefixStore("group", store),
            rank=rank,
            world_size=size,
            timeout=limit,
        )
    except (ValueError, RuntimeError) as error:
        absent = [] if store is None else _absent(store, size)
        raise TrainingError(
            f"The processes could not be connected with backend={backend!r}: {error}"
            f"{_advice(str(error), absent)}"
        ) from error
    _joined = JoinedGroup(PrefixStore("waits", store), timeout)
    atexit.register(leave_group)


def joined_group() -> JoinedGroup | None:
    """Return the group that `join_group` has joined, if any."""
    return _joined


def leave_group() -> None:
    """Destroy the process group, if there is one."""
    global _joined
    _joined = None
    if dist.is_initialized():
        dist.destroy_process_group()


def _came(rank: int) -> str:
    return f"came/{rank}"


def _absent(store: Store, size: int) -> list[int]:
    """Return the ranks that have not come, if the store can still tell."""
    try:
        return [rank for rank in range(size) if not store.check([_came(rank)])]
    except RuntimeError:
        return []


def _advice(message: str, absent: list[int]) -> str:
    if absent:
        return f"\nThese processes did not come: {', '.join(map(str, absent))}."
    if "EADDRINUSE" in message or "already in use" in message:
        return (
            "\nAnother program uses this port: set MASTER_PORT to another one, or start with "
            "torchrun --standalone, which finds one."
        )
    return ""
