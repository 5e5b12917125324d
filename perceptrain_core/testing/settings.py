"""The global settings of the process."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def settings() -> dict[str, Any]:
    """Return the value of each setting, by its description."""
    return {
        "the default dtype": torch.get_default_dtype(),
        "the default device": torch.get_default_device(),
        "the gradient mode": torch.is_grad_enabled(),
        "the deterministic mode": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        "the precision of matrix products": torch.get_float32_matmul_precision(),
        "the number of threads": torch.get_num_threads(),
        "anomaly detection": torch.is_anomaly_enabled(),
        "the error handling of NumPy": np.geterr(),
        "the filters of warnings": list(warnings.filters),
        "the environment": dict(os.environ),
        "the working directory": os.getcwd(),
    }


@contextmanager
def kept_settings() -> Iterator[None]:
    """Restore the settings on exit."""
    before = settings()
    try:
        yield
    finally:
        now = settings()
        for name, value in before.items():
            if now[name] != value:
                _RESTORE[name](value)


def _restore_environment(before: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(before)


def _restore_filters(before: list[Any]) -> None:
    warnings.filters[:] = before  # type: ignore[index]


_RESTORE: dict[str, Any] = {
    "the default dtype": torch.set_default_dtype,
    "the default device": torch.set_default_device,
    "the gradient mode": torch.set_grad_enabled,
    "the deterministic mode": lambda modes: torch.use_deterministic_algorithms(
        modes[0], warn_only=modes[1]
    ),
    "the precision of matrix products": torch.set_float32_matmul_precision,
    "the number of threads": torch.set_num_threads,
    "anomaly detection": torch.autograd.set_detect_anomaly,
    "the error handling of NumPy": lambda modes: np.seterr(**modes),
    "the filters of warnings": _restore_filters,
    "the environment": _restore_environment,
    "the working directory": os.chdir,
}
