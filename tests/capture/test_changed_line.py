"""The line that changes a value."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from perceptrain_core.capture.changed_line import changed_line

steps = 0


class Counts:
    def __init__(self) -> None:
        self.calls = 0
        self.log: list[float] = []
        self.by_name = {"a": 0}

    def __call__(self) -> None:
        self.calls += 1
        self.log.append(1.0)
        self.by_name["a"] = 2


def counts_steps() -> None:
    global steps
    steps += 1


@pytest.mark.parametrize(
    ("path", "owner", "statement"),
    [
        ("loss.calls", Counts(), "self.calls += 1"),
        ("loss.log[0]", Counts(), "self.log.append(1.0)"),
        ("loss.by_name['a']", Counts(), 'self.by_name["a"] = 2'),
        ("the global variable 'steps' of test", counts_steps, "steps += 1"),
    ],
)
def test_it_is_found(path: str, owner: Any, statement: str) -> None:
    code = counts_steps if owner is counts_steps else Counts
    lines, start = inspect.getsourcelines(code)
    number = start + next(n for n, line in enumerate(lines) if line.strip() == statement)
    assert changed_line(path, owner) == f" (test_changed_line.py, line {number})"


@pytest.mark.parametrize("owner", [Counts(), len, 3])
def test_there_may_be_none(owner: Any) -> None:
    assert changed_line("loss.other", owner) == ""
