from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from perceptrain_core.checkpoints.file import read_file, write_file
from perceptrain_core.random_state import (
    _packed_state,
    _set_packed_state,
    get_random_state,
    seed_everything,
    set_random_state,
)


def draw() -> list[float]:
    return [
        random.random(),
        random.gauss(0, 1),
        np.random.rand(),
        np.random.standard_normal(),
        torch.rand(()).item(),
        torch.randn(()).item(),
    ]


@given(seed=st.integers(0, 2**32 - 1))
def test_a_seed_gives_the_same_numbers(seed: int) -> None:
    seed_everything(seed)
    first = draw()
    seed_everything(seed)
    assert draw() == first


@pytest.mark.slow
def test_state_survives_a_file(tmp_path: Path) -> None:
    seed_everything(3)
    draw()  # half a pair of normal numbers is in store now
    path = write_file(tmp_path / "a.pt", {"random": get_random_state()})
    first = [draw(), draw()]
    seed_everything(4)
    set_random_state(read_file(path)["random"])
    assert [draw(), draw()] == first


@pytest.mark.slow
@pytest.mark.parametrize("numpy", [False, True])
def test_processes_that_use_their_gpu_send_as_much_as_others(
    numpy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = _packed_state(numpy)
    monkeypatch.setattr("torch.cuda.is_initialized", lambda: True)
    monkeypatch.setattr("torch.cuda.get_rng_state", lambda: torch.arange(16, dtype=torch.uint8))
    other = _packed_state(numpy)
    assert len(other) == len(own)
    taken: list[Tensor] = []
    monkeypatch.setattr("torch.cuda.set_rng_state", taken.append)
    _set_packed_state(own, numpy)  # of a process that has not used its GPU
    assert not taken
    _set_packed_state(other, numpy)
    assert taken[0].tolist() == [*range(16)]
