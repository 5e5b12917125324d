"""The state of the global random generators: to save it, restore it, and share it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from perceptrain_core.processes import connected_processes

# Of the Mersenne Twister, NumPy's global generator: words of 4 bytes, and three numbers of 8.
_NUMPY_KEYS = 624
_NUMPY_BYTES = 4 * _NUMPY_KEYS + 3 * 8
_CUDA_BYTES = 16  # a seed and an offset


def get_random_state() -> dict[str, Any]:
    """Return the state of the generators of Python, NumPy and torch.

    Python's hundreds of words are a tensor, too: in a checkpoint, each number takes its time.
    """
    version, words, gauss = random.getstate()
    numpy = np.random.get_state(legacy=False)
    keys = torch.from_numpy(numpy["state"]["key"].astype(np.int64))
    state: dict[str, Any] = {
        "python": (version, torch.tensor(words), gauss),
        "numpy": numpy | {"state": numpy["state"] | {"key": keys}},
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Restore the state of the generators."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    numpy = state["numpy"]
    keys = numpy["state"]["key"].numpy().astype(np.uint32)
    np.random.set_state(numpy | {"state": numpy["state"] | {"key": keys}})
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Restore the generators on exit to their state on entry."""
    state = get_random_state()
    try:
        yield
    finally:
        set_random_state(state)


@contextmanager
def same_random_numbers(numpy: bool = False) -> Iterator[None]:
    """Draw the random numbers of the first process in all of several processes.

    For optimizers and weightings that draw numbers, since all processes have to take the same step.
    All processes have to enter it. Inside, the global generators of torch, also that of the current
    GPU, have the state of the first process; afterwards the other processes have their own state
    again. In a single process it does nothing.

    Args:
        numpy: Whether to share NumPy's global generator, too: that takes longer than all the rest.
    """
    if connected_processes() < 2:
        yield
        return
    own = _packed_state(numpy)
    shared = own.to("cuda" if dist.get_backend() == "nccl" else "cpu", copy=True)
    dist.broadcast(shared, src=0)
    _set_packed_state(shared.cpu(), numpy)
    try:
        yield
    finally:
        if dist.get_rank() > 0:
            _set_packed_state(own, numpy)


def _packed_state(numpy: bool) -> Tensor:
    """Return the generators as bytes, which travel ten times as fast as objects.

    There are as many in all processes, whether or not they have used their GPU: a flag says so.
    """
    parts = [torch.get_rng_state()]
    if numpy:
        state: Any = np.random.get_state()
        packed = state[1].tobytes() + np.array(state[2:], dtype=np.float64).tobytes()
        parts.append(torch.frombuffer(bytearray(packed), dtype=torch.uint8))
    used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    parts.append(torch.tensor([used], dtype=torch.uint8))
    unused = torch.zeros(_CUDA_BYTES, dtype=torch.uint8)
    parts.append(torch.cuda.get_rng_state() if used else unused)
    return torch.cat(parts)


def _set_packed_state(state: Tensor, numpy: bool) -> None:
    end = len(torch.get_rng_state())
    torch.set_rng_state(state[:end].clone())
    if numpy:
        start, end = end, end + _NUMPY_BYTES
        packed = state[start:end].numpy().tobytes()
        keys = np.frombuffer(packed, np.uint32, _NUMPY_KEYS)
        position, has_gauss, gauss = np.frombuffer(packed[keys.nbytes :])
        np.random.set_state(("MT19937", keys, int(position), int(has_gauss), gauss))
    if state[end] and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.set_rng_state(state[end + 1 :].clone())


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, NumPy and torch."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
