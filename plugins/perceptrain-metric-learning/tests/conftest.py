"""What every test starts from."""

from __future__ import annotations

import pytest
import torch

# Networks here are tiny: more threads would only wait for each other.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Draw the same numbers in each test, whatever ran before."""
    # torch.manual_seed would also note the stack of the call, for each kind of device.
    torch.default_generator.manual_seed(0)
