"""The settings of torch that hold for the whole process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def settings() -> dict[str, Any]:
    """Give each setting under words for it."""
    return {
        "the default dtype": torch.get_default_dtype(),
        "the gradient mode": torch.is_grad_enabled(),
        "the deterministic mode": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        "the number of threads": torch.get_num_threads(),
        "anomaly detection": torch.is_anomaly_enabled(),
    }


@contextmanager
def kept_settings() -> Iterator[None]:
    """Put the settings back, at the end, to what they were at the beginning."""
    before = settings()
    try:
        yield
    finally:
        torch.set_default_dtype(before["the default dtype"])
        torch.set_grad_enabled(before["the gradient mode"])
        deterministic, warn_only = before["the deterministic mode"]
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.set_num_threads(before["the number of threads"])
        torch.autograd.set_detect_anomaly(before["anomaly detection"])
