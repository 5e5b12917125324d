"""Random numbers that do not depend on what else draws from the global generators."""

from __future__ import annotations

import random
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.random import mtrand


class PrivateRandom:
    """A state of its own for the global generators of Python, NumPy and torch (on the CPU).

    Inside a ``with`` block, the global generators continue from this state; afterwards they are
    as before.

    Args:
        seed: Seeds the state; by default, the current state is copied.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._python: Any
        if seed is None:
            self._python, self._torch = random.getstate(), torch.get_rng_state()
            current = mtrand.get_bit_generator()
            self._numpy = type(current)()
            self._numpy.state = current.state
        else:
            self._python = random.Random(seed).getstate()
            self._torch = torch.Generator().manual_seed(seed).get_state()
            self._numpy = np.random.MT19937(seed)

    def __enter__(self) -> None:
        self._swap()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._swap()

    def _swap(self) -> None:
        python, numpy, of_torch = self._python, self._numpy, self._torch
        self._python, self._torch = random.getstate(), torch.get_rng_state()
        # To copy the state of NumPy's generator would take longer than all the rest.
        self._numpy = mtrand.get_bit_generator()
        random.setstate(python)
        mtrand.set_bit_generator(numpy)
        torch.set_rng_state(of_torch)
