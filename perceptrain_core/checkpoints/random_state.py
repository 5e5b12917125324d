"""The random generators of a run, as plain values that a checkpoint can hold."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def get_random_state() -> dict[str, Any]:
    """Take down where the generators of Python, NumPy and torch stand."""
    return plain_random_state(raw_random_state())


def raw_random_state() -> dict[str, Any]:
    """Take it down as the generators give it, which is faster, but no file can hold it."""
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=False),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def plain_random_state(state: dict[str, Any]) -> dict[str, Any]:
    """Make a raw state one that a file can hold; one that is so already stays as it is."""
    keys = np.asarray(state["numpy"]["state"]["key"]).astype(np.int64)
    return state | {"numpy": _with_keys(state["numpy"], torch.from_numpy(keys))}


def set_random_state(state: dict[str, Any]) -> None:
    """Put the generators back to where they stood, from a raw state or a plain one."""
    random.setstate(state["python"])
    keys = np.asarray(state["numpy"]["state"]["key"]).astype(np.uint32)
    np.random.set_state(_with_keys(state["numpy"], keys))
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, NumPy and torch."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _with_keys(numpy: dict[str, Any], keys: Any) -> dict[str, Any]:
    return numpy | {"state": numpy["state"] | {"key": keys}}
