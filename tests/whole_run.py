"""What makes a run of all tests take less time, those of the plugins too."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

started: set[Path] = set()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run slow tests first, or one would go on alone at the end.

    Each worker of ``--dist worksteal`` begins with an equal part of the list, in its order, so
    each part begins with the slow tests of some of the files.
    """
    slow = [item for item in items if item.get_closest_marker("slow")]
    others = [item for item in items if not item.get_closest_marker("slow")]
    number = {path: n for n, path in enumerate(dict.fromkeys(item.path for item in slow))}
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    left = len(items)
    ordered: list[pytest.Item] = []
    for worker in range(workers):
        part = left // (workers - worker)
        first = [item for item in slow if number[item.path] % workers == worker]
        rest = max(0, part - len(first))
        ordered += first + others[:rest]
        left = len(items) - len(ordered)
        del others[:rest]
    items[:] = ordered


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave what is imported by now out of garbage collections, which many tests ask for."""
    if item.path not in started:
        started.add(item.path)
        gc.collect()
        gc.freeze()
