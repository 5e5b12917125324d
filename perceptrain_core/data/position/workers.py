"""Persistent workers of a loader; starting them draws a random number."""

from __future__ import annotations

from typing import Any

from torch.utils.data import DataLoader

from perceptrain_core.data.position.generators import parts_of


def workers_started(data: Any) -> list[bool]:
    """Return for each loader with ``persistent_workers`` whether it has started them.

    Args:
        data: A loader, or other data that a user passes.
    """
    return [loader._iterator is not None for loader in _with_workers(data)]


def start_workers(data: Any, started: list[bool]) -> None:
    """Start the workers that had been started, and stop the others.

    A loader draws a seed for its workers when it starts them, and not again. So that its next epoch
    draws as many random numbers as in the saved run, its workers must be in the same state. The
    random state inside the workers is not restored.

    Args:
        data: The loader.
        started: From `workers_started`.
    """
    for loader, was in zip(_with_workers(data), started, strict=False):
        if not was:
            loader._iterator = None
        elif loader._iterator is None:
            iter(loader)


def _with_workers(data: Any) -> list[DataLoader[Any]]:
    loaders = [part for part in parts_of(data) if isinstance(part, DataLoader)]
    return [loader for loader in loaders if loader.persistent_workers]
