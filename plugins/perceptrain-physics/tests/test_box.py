"""A box: its points, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from typing import Any

import numpy as np
import pytest
import torch

from perceptrain.errors import ConfigError
from perceptrain_physics import Box

SQUARE = Box(low=[0, 0], high=[1, 1])


def test_the_ends_may_be_arrays_or_tensors() -> None:
    for low, high in [
        (np.zeros(2), np.ones(2)),
        (torch.zeros(2), torch.ones(2)),
        ((0, np.int64(0)), (np.float32(1), 1.0)),
    ]:
        box = Box(low, high)  # type: ignore[arg-type]
        assert (box.low, box.high) == ((0.0, 0.0), (1.0, 1.0))
        assert box.inside(np.int64(3)).shape == (3, 2)  # type: ignore[arg-type]


def test_a_face_may_be_any_value_between_the_ends() -> None:
    assert SQUARE.face(1, 0.5)(3)[:, 1].tolist() == [0.5] * 3
    assert SQUARE.face(-1, 1)(3)[:, 1].tolist() == [1.0] * 3
    rounded = Box([0], [0.3])
    assert rounded.face(0, 0.1 + 0.2)(2).shape == (2, 1)
    assert SQUARE.inside(0).shape == (0, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Box(low=0, high=1), "low=0, high=1: expected a number for each coordinate"),
        (lambda: Box(low=["0"], high=["1"]), "expected a number for each coordinate"),
        (lambda: Box(low="0", high="1"), "expected a number for each coordinate"),
        (lambda: Box(low=[None], high=[1]), "expected a number for each coordinate"),
        (lambda: Box(low=[[0, 1]], high=[[0, 1]]), "expected a number for each coordinate"),
        (lambda: Box(low=[nan], high=[1]), "expected a number for each coordinate"),
        (lambda: Box(low=[], high=[]), "expected a number for each coordinate"),
        (lambda: Box(low=[0], high=[inf]), "expected finite ends"),
        (lambda: Box(low=[-inf], high=[0]), "expected finite ends"),
        (lambda: SQUARE.face(0, 5.0), "value=5.0: expected a number from 0 to 1, the ends of"),
        (lambda: SQUARE.face(1, -0.1), "expected a number from 0 to 1"),
        (lambda: SQUARE.face(1, nan), "expected a number from 0 to 1"),
        (lambda: SQUARE.face(1, "0"), "value='0': expected a number from 0 to 1"),
        (lambda: SQUARE.face(2, 0.0), "axis=2: expected the number of a coordinate, from 0 to 1"),
        (lambda: SQUARE.face("t", 0.0), "axis='t': expected the number of a coordinate"),
        (lambda: SQUARE.face(True, 0.0), "axis=True: expected the number of a coordinate"),
        (lambda: SQUARE.faces(3), "axis=3: expected the number of a coordinate"),
        (lambda: SQUARE.faces([0, 1]), r"axis=\[0, 1\]: expected the number of a coordinate"),
        (lambda: SQUARE.inside(1e2), "n=100.0: expected a whole number of at least 0"),
        (lambda: SQUARE.inside("5"), "n='5': expected a whole number of at least 0"),
        (lambda: SQUARE.inside(-1), "n=-1: expected a whole number of at least 0"),
        (lambda: SQUARE.inside(None), "n=None: expected a whole number"),
        (lambda: SQUARE.faces()(-1), "n=-1: expected a whole number"),
        (lambda: SQUARE.grid([3, 4]), r"n=\[3, 4\]: expected a whole number of at least 1"),
        (lambda: SQUARE.grid(0), "n=0: expected a whole number of at least 1. .* per axis"),
        (lambda: SQUARE.inner_grid("3"), "n='3': expected a whole number"),
        (lambda: SQUARE.edge_grid(2.0), "n=2.0: expected a whole number"),
    ],
)
def test_what_cannot_be_is_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call()
