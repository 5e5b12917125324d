"""Workers that stay from epoch to epoch, whose start draws from the random generators once."""

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
    """Start those workers that had been started, and stop the others.

    A loader draws their seed when it starts them and never again, so with other workers it would
    draw another number at its next epoch. What they draw themselves is not put back.

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
