"""A place that holds a value: an item, an attribute, or a variable of a closure."""

from __future__ import annotations

import pickle
import random
from array import array
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from types import CellType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

HAVE_ITEMS = dict, list, tuple, deque
_SMALL = 500  # elements of a set that are compared at each step
_QUICK = 2**16  # bytes of an array that are compared at each step
_LARGEST = 2**24  # bytes of an array whose elements are compared at all


@dataclass(frozen=True)
class Place:
    """Where a value is.

    Args:
        container: The dict, list, tuple or closure's cell that the value is in; or an object.
        key: Its key or index, or the name of an attribute; ``None`` in a cell.
        value: The value that was found.
        state: What a call can change inside the value, see `state_of`.
    """

    container: Any
    key: Any
    value: Any
    state: Any = None

    def read(self) -> Any:
        """Return the value that is there now."""
        return read(self.container, self.key)

    def write(self, value: Any) -> None:
        """Put another value there."""
        if isinstance(self.container, CellType):
            self.container.cell_contents = value
        elif isinstance(self.container, dict | list | deque):
            self.container[self.key] = value
        else:
            setattr(self.container, self.key, value)

    def restore(self) -> None:
        """Put back the value that was found, and its state."""
        if self.read() is not self.value:
            with suppress(AttributeError):  # it is computed at each reading, and readonly
                self.write(self.value)
        if self.state is not None and self.state != state_of(self.value):
            _set_state(self.value, self.state)

    @property
    def is_free(self) -> bool:
        """Whether it holds a tensor that another may follow: a graph has it as an input."""
        return isinstance(self.value, Tensor) and not isinstance(self.value, nn.Parameter)


def read(container: Any, key: Any) -> Any:
    """Return the value at a place.

    Raises:
        LookupError, AttributeError, ValueError: There is none.
    """
    if isinstance(container, CellType):
        return container.cell_contents
    return container[key] if isinstance(container, HAVE_ITEMS) else getattr(container, key)


def state_of(value: Any) -> Any:
    """Return what a call can change inside a value whose parts are not followed.

    Of random generators the state, of sets and small arrays the elements; else ``None``.
    """
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, torch.Generator):
        return value.get_state().tolist()
    if isinstance(value, np.random.Generator):
        return value.bit_generator.state
    if isinstance(value, np.random.RandomState):
        return pickle.dumps(value.get_state())
    if isinstance(value, set):
        return frozenset(value)
    if isinstance(value, np.ndarray) and value.nbytes <= _LARGEST and not value.dtype.hasobject:
        return value.tobytes()
    if isinstance(value, bytearray | array):
        return bytes(value)
    return None


def is_quick(value: Any) -> bool:
    """Whether the state of a value can be compared at each step; random generators draw anyway."""
    if isinstance(value, set):
        return len(value) <= _SMALL
    if isinstance(value, np.ndarray | bytearray | array):
        return value.nbytes <= _QUICK if isinstance(value, np.ndarray) else len(value) <= _SMALL
    return False


def _set_state(value: Any, state: Any) -> None:
    if isinstance(value, random.Random):
        value.setstate(state)
    elif isinstance(value, torch.Generator):
        value.set_state(torch.tensor(state, dtype=torch.uint8))
    elif isinstance(value, np.random.Generator):
        value.bit_generator.state = state
    elif isinstance(value, np.random.RandomState):
        value.set_state(pickle.loads(state))
    elif isinstance(value, set):
        value.clear()
        value.update(state)
    elif isinstance(value, bytearray):
        value[:] = state
    elif isinstance(value, array):
        value[:] = array(value.typecode, state)
    else:
        value[...] = np.frombuffer(state, value.dtype).reshape(value.shape)
