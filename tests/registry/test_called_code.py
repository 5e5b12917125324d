from __future__ import annotations

import functools
import os
from typing import Any

import numpy as np
import pytest
import torch

from perceptrain_core.errors import TargetError
from perceptrain_core.registry.called_code import check_code


def points() -> None: ...


class Box:
    def method(self) -> None: ...
    def __call__(self) -> None: ...


@pytest.mark.parametrize(
    "target",
    [points, Box, Box(), Box().method, Box.method, lambda: 0, functools.cache(points),
     functools.partial(os.system, "true"), torch.optim.SGD, torch.utils.data.DataLoader, dict],
)  # fmt: skip
def test_code_of_somebody(target: Any) -> None:
    check_code("It", target, "dataset")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (os.system, "a compiled function"),
        (eval, "a compiled function"),
        (torch.sin, "a compiled function"),
        (str.join, "a compiled function"),
        ([].append, "a compiled function"),
        (os.removedirs, "part of Python's standard library"),
        (__import__("subprocess").Popen, "part of Python's standard library"),
        (torch.load, "a function of torch"),
        (np.load, "a function of numpy"),
    ],
)
def test_tools(target: Any, reason: str) -> None:
    with pytest.raises(TargetError, match=f"It is .*, {reason}, and was not called"):
        check_code("It", target, "dataset")


def test_what_depends_on_the_kind() -> None:
    check_code("It", torch.nn.functional.mse_loss, "loss")
    check_code("It", torch.nn.Linear, "model")
    check_code("It", Box, "loss")
    with pytest.raises(TargetError, match=r"a class that is not a torch\.nn\.Module"):
        check_code("It", Box, "model")
