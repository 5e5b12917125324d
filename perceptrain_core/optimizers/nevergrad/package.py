"""Nevergrad itself: imported when it is needed, and kept from what is global."""

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
from perceptrain_core.registry.messages import did_you_mean


@cache
def import_nevergrad() -> Any:
    """Import nevergrad, and mend two faults of it where they are there, for the whole process.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        with apart(np.random.RandomState(0)):  # its portfolios are drawn at import
            import nevergrad
            from nevergrad.optimization import metamodel, recaster
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "Training with nevergrad needs the package nevergrad: "
            'pip install "perceptrain-core[nevergrad]".'
        ) from error
    # Its surrogate models take float() of an array of one, which newer NumPy refuses.
    if _refuses_array_of_one():
        metamodel.float = lambda value: np.asarray(value).item()
    # The threads in which it runs algorithms of others wait for a next loss, also at exit.
    if recaster._MessagingThread.daemon is Thread.daemon:
        recaster._MessagingThread.daemon = True
    return nevergrad


def _refuses_array_of_one() -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            float(np.ones(1))
        except TypeError:
            return True
    return False


def is_of_nevergrad(item: Any) -> bool:
    """Whether something is an optimizer of nevergrad's, without importing that for the answer."""
    if "nevergrad" not in sys.modules:
        return False
    return isinstance(item, import_nevergrad().optimizers.base.Optimizer)


def find_algorithm(name: str) -> Any:
    """Find an algorithm by its name in the registry of nevergrad.

    Raises:
        ConfigError: There is none of this name.
    """
    algorithms = import_nevergrad().optimizers.registry
    if name in algorithms:
        return algorithms[name]
    raise ConfigError(
        f"algorithm={name!r}: nevergrad has none of this name.{did_you_mean(name, algorithms)} "
        f"It has {len(algorithms)}: sorted(nevergrad.optimizers.registry)."
    )


@contextmanager
def apart(generator: np.random.RandomState) -> Iterator[None]:
    """Let NumPy's global functions draw from a generator, and leave them as they were.

    Much of nevergrad draws from the global one, whatever seed its search has. It also tries points
    at which what it computes with overflows; warnings of that are nobody's business, and only its
    own come through.
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
