"""The process group: how this process joins the others, and leaves them."""

from __future__ import annotations

import atexit
import time
import uuid
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
        TrainingError: The backend is unknown or missing, a process does not connect, or the port
            is in use.
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
    limit = timedelta(seconds=timeout)
    try:
        store, rank, size = next(rendezvous("env://", timeout=limit))
        store = _meet(store, rank, size, timeout)
        dist.init_process_group(
            backend,
            store=PrefixStore("group", store),
            rank=rank,
            world_size=size,
            timeout=limit,
        )
    except (ValueError, RuntimeError) as error:
        raise TrainingError(
            f"The processes could not be connected with backend={backend!r}: {error}"
            f"{_advice(str(error))}"
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


def _meet(store: Store, rank: int, size: int, timeout: float) -> Store:
    """Return a part of the store that only the current processes use.

    After a restart, the store still holds what the processes before it left there, such as
    addresses that no longer answer. So the first process chooses a new name, and sends it to each
    process that answers.

    Raises:
        RuntimeError: A process did not connect in time.
    """
    own = uuid.uuid4().hex
    if rank == 0:
        _wait_for_others(store, size, own, time.monotonic() + timeout)
        return PrefixStore(own, store)
    store.set(f"here/{rank}", own)
    # Longer than the first process, which knows who is missing.
    store.wait([f"group/{own}"], timedelta(seconds=timeout + 3))
    group = store.get(f"group/{own}").decode()
    store.set(f"met/{group}/{own}", "")
    return PrefixStore(group, store)


def _wait_for_others(store: Store, size: int, group: str, end: float) -> None:
    missing = set(range(1, size))
    while missing:
        for rank in sorted(missing):
            if store.check([f"here/{rank}"]):
                name = store.get(f"here/{rank}").decode()
                store.set(f"group/{name}", group)
                if store.check([f"met/{group}/{name}"]):
                    missing.discard(rank)
        if missing and time.monotonic() > end:
            shown = ", ".join(map(str, sorted(missing)))
            raise RuntimeError(f"these processes did not connect: {shown}.")
        time.sleep(0.005)


def _advice(message: str) -> str:
    if "EADDRINUSE" in message or "already in use" in message:
        return (
            "\nAnother program uses this port: set MASTER_PORT to another one, or start with "
            "torchrun --standalone, which finds one."
        )
    return ""
