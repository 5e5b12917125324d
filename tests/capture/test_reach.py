"""What a loss reaches: changes are found, undone, and noticed between calls."""

from __future__ import annotations

import random
from argparse import Namespace
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from io import StringIO
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from perceptrain_core.capture.reach import Reach
from perceptrain_core.capturing import NotCapturable

CALLS = 0
SEEN: list[int] = []
NUMBERS = np.random.default_rng(0)
PYTHON = random.Random(0)
TORCH = torch.Generator().manual_seed(0)
OPTIONS = Namespace(alpha=1.0)
ARRAY = np.zeros(3)
NAMES: set[str] = set()
settings = ModuleType("settings")
settings.__file__ = "settings.py"
settings.alpha = 1.0  # type: ignore[attr-defined]


class Counts:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1


class CountsInSlot:
    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1


class CountsInClass:
    calls = 0

    def __call__(self) -> None:
        CountsInClass.calls += 1


class Keeps:
    def __init__(self, store: Any) -> None:
        self.store = store

    def __call__(self) -> None:
        if isinstance(self.store, dict):
            self.store["a"] = len(self.store)
        else:
            self.store.append(1)


class Inside(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.part = Counts()

    def forward(self) -> None:
        self.part()


def in_closure() -> Callable[[], None]:
    calls = 0

    def loss() -> None:
        nonlocal calls
        calls += 1

    return loss


def in_global() -> None:
    global CALLS
    CALLS += 1


def in_inner_function() -> None:
    def inner() -> None:
        SEEN.append(1)

    inner()


def in_default(store: list[int] = []) -> None:  # noqa: B006 - such functions exist
    store.append(1)


def draws_by_numpy() -> None:
    NUMBERS.random()


def draws_by_python() -> None:
    PYTHON.random()


def draws_by_torch() -> None:
    torch.rand(2, generator=TORCH)


class Settings:
    alpha = 1.0


def in_another_class() -> None:
    Settings.alpha *= 0.5


def in_a_module() -> None:
    settings.alpha *= 0.5


class InMethod:
    def __call__(self) -> None:
        self.helper()

    def helper(self) -> None:
        SEEN.append(1)


def in_namespace() -> None:
    OPTIONS.alpha *= 0.5


def in_array() -> None:
    ARRAY[1] += 1


def in_set() -> None:
    NAMES.add(str(len(NAMES)))


CHANGING: list[Any] = [
    in_another_class,
    in_a_module,
    InMethod(),
    in_namespace,
    in_array,
    in_set,
    Counts(),
    Counts().__call__,
    partial(Counts()),
    CountsInSlot(),
    CountsInClass(),
    Keeps([]),
    Keeps(deque()),
    Keeps({}),
    Inside(),
    in_closure(),
    in_global,
    in_inner_function,
    in_default,
    draws_by_numpy,
    draws_by_python,
    draws_by_torch,
]


@pytest.mark.parametrize("loss", CHANGING, ids=lambda loss: getattr(loss, "__name__", None))
def test_a_change_is_found_and_undone(loss: Any) -> None:
    def look() -> Reach:
        return Reach({"the loss": loss})

    before = look()
    loss()
    moved, replaced, changed = before.changes_to(look())
    assert moved or changed
    assert not replaced
    before.restore()
    assert before.changes_to(look()) == ([], [], [])


def test_a_tensor_that_takes_the_place_of_another_is_no_change_of_the_rest() -> None:
    class Average:
        def __init__(self) -> None:
            self.mean, self.rate = torch.zeros(()), 0.9

        def __call__(self) -> None:
            self.mean = self.mean * self.rate + 1

    loss = Average()
    first, before = loss.mean, Reach({"loss": loss})
    loss()
    assert before.changes_to(Reach({"loss": loss})) == ([], ["loss.mean"], [])
    assert not before.difference_from(Reach({"loss": loss}))
    before.restore()
    assert loss.mean is first


def test_the_guard_notices_what_is_assigned_later() -> None:
    model, options = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1)), {"alpha": 1.0}

    def loss() -> float:
        return options["alpha"]

    guard = Reach({"model": model, "loss": loss}).guard()
    assert guard.holds()
    for change, undo in [
        (lambda: model.eval(), lambda: model.train()),
        (lambda: options.update(alpha=0.5), lambda: options.update(alpha=1.0)),
        (lambda: setattr(model[1], "p", 0.5), lambda: setattr(model[1], "p", 0.1)),
        (lambda: options.pop("alpha"), lambda: options.update(alpha=1.0)),
    ]:
        change()
        assert not guard.holds()
        undo()
        assert guard.holds()
    handle = model[0].register_forward_hook(lambda *_: None)
    assert not guard.holds()
    handle.remove()
    model[0].weight = nn.Parameter(torch.zeros(2, 2))
    assert not guard.holds()


@pytest.mark.parametrize(
    ("old", "new"),
    [(1, True), (1.0, 1), (0.0, -0.0), ([1], [1]), ((1, 2), (1, 2.0))],
    ids=str,
)
def test_the_guard_notices_an_equal_value(old: Any, new: Any) -> None:
    loss = Keeps(old)
    guard = Reach({"loss": loss}).guard()
    assert guard.holds()
    loss.store = new
    assert not guard.holds()


def test_the_guard_notices_another_key_and_further_items() -> None:
    value = object()
    options: dict[str, Any] = {"alpha": value}
    loss = Keeps(options)
    guard = Reach({"loss": loss}).guard()
    del options["alpha"]
    options["beta"] = value
    assert not guard.holds()
    options["alpha"] = value
    assert not guard.holds()
    del options["beta"]
    assert guard.holds()
    loss.other = 1  # type: ignore[attr-defined]
    assert not guard.holds()


@pytest.mark.parametrize(
    ("store", "change"),
    [
        ([1, 2], lambda store: store.reverse()),
        (deque([1, 2]), lambda store: store.rotate(1)),
        (({"a": 1},), lambda store: store[0].update(a=2)),
        (in_closure(), lambda store: store()),
        ({"a"}, lambda store: store.add("b")),
    ],
    ids=["list", "deque", "dict in a tuple", "closure", "set"],
)
def test_the_guard_notices_what_changes_inside(store: Any, change: Callable[[Any], None]) -> None:
    guard = Reach({"loss": Keeps(store)}).guard()
    assert guard.holds()
    change(store)
    assert not guard.holds()


def test_attributes_that_only_count_are_left_out() -> None:
    loss = Counts()
    loss.uncaptured = ("calls",)  # type: ignore[attr-defined]
    before = Reach({"loss": loss})
    loss()
    assert before.changes_to(Reach({"loss": loss})) == ([], [], [])
    assert before.guard().holds()


def numbers() -> Iterator[int]:
    yield from range(3)


@pytest.mark.parametrize("stream", [iter([1, 2]), numbers(), StringIO()])
def test_streams_are_refused(stream: Any) -> None:
    with pytest.raises(NotCapturable, match=r"the loss\.store, an iterator or a file"):
        Reach({"the loss": Keeps(stream)}).refuse_streams_and_hooks()
