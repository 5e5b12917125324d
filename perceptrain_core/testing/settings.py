"""The global settings of the process."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def _deterministic_mode() -> tuple[bool, bool]:
    enabled = torch.are_deterministic_algorithms_enabled()
    return enabled, torch.is_deterministic_algorithms_warn_only_enabled()


def _restore_environment(before: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(before)


def _restore_filters(before: list[Any]) -> None:
    warnings.filters[:] = before  # type: ignore[index]


#: How to read and restore each setting, by its description.
_SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "the default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "the default device": (torch.get_default_device, torch.set_default_device),
    "the gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "the deterministic mode": (
        _deterministic_mode,
        lambda modes: torch.use_deterministic_algorithms(modes[0], warn_only=modes[1]),
    ),
    "the precision of matrix products": (
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    "the number of threads": (torch.get_num_threads, torch.set_num_threads),
    "anomaly detection": (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    "the error handling of NumPy": (np.geterr, lambda modes: np.seterr(**modes)),
    "the filters of warnings": (lambda: list(warnings.filters), _restore_filters),
    "the environment": (lambda: dict(os.environ), _restore_environment),
    "the working directory": (os.getcwd, os.chdir),
}


def settings() -> dict[str, Any]:
    """Return the value of each setting, by its description."""
    return {name: read() for name, (read, _) in _SETTINGS.items()}


@contextmanager
def kept_settings() -> Iterator[None]:
    """Restore the settings on exit."""
    before = settings()
    try:
        yield
    finally:
        for name, (read, restore) in _SETTINGS.items():
            if read() != before[name]:
                restore(before[name])
