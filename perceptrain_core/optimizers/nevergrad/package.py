"""Import nevergrad lazily, and isolate it from global state."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Thread
from typing import Any

import numpy as np

from perceptrain_core.errors import ConfigError, MissingDependencyError
from perceptrain_core.suggestions import did_you_mean


@cache
def import_nevergrad() -> Any:
    """Import nevergrad, and work around two of its bugs for the whole process.

    Raises:
        MissingDependencyError: Nevergrad is not installed.
    """
    try:
        with apart(np.random.RandomState(0)):  # it draws random numbers at import
            import nevergrad
            from nevergrad.optimization import metamodel, recaster
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "Training with nevergrad needs the package nevergrad: "
            'pip install "perceptrain-core[nevergrad]".'
        ) from error
    # Its surrogate models call float() on one-element arrays, which newer NumPy rejects.
    if _float_rejects_arrays():
        metamodel.float = lambda value: np.asarray(value).item()
    # Its threads for third-party algorithms wait for the next loss and would block the exit.
    if recaster._MessagingThread.daemon is Thread.daemon:
        recaster._MessagingThread.daemon = True
    return nevergrad


def _float_rejects_arrays() -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            float(np.ones(1))
        except TypeError:
            return True
    return False


def is_of_nevergrad(item: Any) -> bool:
    """Whether an object is an optimizer of nevergrad."""
    if "nevergrad" not in sys.modules:
        return False
    return isinstance(item, import_nevergrad().optimizers.base.Optimizer)


def find_algorithm(name: str) -> Any:
    """Look up an algorithm in the registry of nevergrad.

    Raises:
        ConfigError: There is no algorithm of this name.
    """
    algorithms = import_nevergrad().optimizers.registry
    if name in algorithms:
        return algorithms[name]
    raise ConfigError(
        f"algorithm={name!r}: nevergrad has no such algorithm.{did_you_mean(name, algorithms)} "
        f"sorted(nevergrad.optimizers.registry) lists all {len(algorithms)}."
    )


@contextmanager
def apart(generator: np.random.RandomState) -> Iterator[None]:
    """Let NumPy's global functions use a generator, and restore their state afterwards.

    Much of nevergrad uses the global generator, regardless of the seed of the search. Its
    dependencies also warn about overflows at some candidates; these warnings are suppressed.
    """
    before = np.random.get_state()
    np.random.set_state(generator.get_state())
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="scipy|sklearn|cma|numpy")
            warnings.filterwarnings("ignore", "Clipping very high value")
            warnings.filterwarnings("ignore", "Conversion of an array with ndim > 0")
            yield
    finally:
        generator.set_state(np.random.get_state())
        np.random.set_state(before)
