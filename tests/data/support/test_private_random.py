from __future__ import annotations

import random

import numpy as np
import torch

from perceptrain_core.data.support.private_random import PrivateRandom


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def seed() -> None:
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)


def test_it_goes_on_where_it_was_left_and_changes_nothing_outside() -> None:
    seed()
    expected = [draw(), draw()]
    seed()
    private = PrivateRandom(7)
    found = [draw()]
    with private:
        first = draw()
    found.append(draw())
    with private:
        second = draw()
    assert found == expected
    with PrivateRandom(7):
        assert [draw(), draw()] == [first, second]


def test_without_a_seed_it_is_a_copy_of_what_is() -> None:
    seed()
    private = PrivateRandom()
    expected = [draw(), draw()]
    with private:
        assert [draw(), draw()] == expected
