"""Small parts that many tests are made of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

settings.register_profile("perceptrain", deadline=None)
settings.load_profile("perceptrain")

# Networks here are tiny: more threads would only wait for each other.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Draw the same numbers in each test, whatever ran before."""
    # torch.manual_seed would also note the stack of the call, for each kind of device.
    torch.default_generator.manual_seed(0)


@pytest.fixture
def float64() -> Iterator[None]:
    """Make tensors of float64 for a while, to compare with closed forms."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
