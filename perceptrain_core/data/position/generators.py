"""Find what determines a loader's random order: its own generators and its epoch."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Attributes in which loaders, samplers and data sets hold one, or several, of their kind.
_ONE = ("loader", "dataloader", "batch_sampler", "sampler", "dataset")
_SEVERAL = ("dataloaders", "datasets")


def loader_random_state(data: Any) -> list[tuple[str, Any]]:
    """Return the state of the random generators that a loader owns.

    They are those that the loader, its samplers and its data sets hold as attributes: of torch,
    of NumPy (``Generator`` and ``RandomState``) and of Python (``random.Random``).

    Args:
        data: A loader, or other data that a user passes.

    Returns:
        The kind and the state of each, in values that a checkpoint can hold.
    """
    return [(_kind(g), _get_state(g)) for g in _generators_of(data)]


def set_loader_random_state(data: Any, saved: list[tuple[str, Any]]) -> None:
    """Restore the state of a loader's own generators.

    If the loader has other generators, it is a different loader, and nothing is changed.

    Args:
        data: The loader.
        saved: From `loader_random_state`.
    """
    generators = _generators_of(data)
    if [_kind(g) for g in generators] == [kind for kind, _ in saved]:
        for generator, (_, state) in zip(generators, saved, strict=True):
            _set_state(generator, state)


def seed_generators(data: Any, seed: int) -> None:
    """Seed the random generators that a loader owns.

    Args:
        data: A loader, or other data that a user passes.
        seed: The first generator gets this seed, the next one the next, and so on.
    """
    for number, generator in enumerate(_generators_of(data), seed):
        if isinstance(generator, torch.Generator):
            generator.manual_seed(number)
        elif isinstance(generator, np.random.Generator):
            generator.bit_generator.state = type(generator.bit_generator)(number).state
        else:  # NumPy accepts 32 bits
            generator.seed(number % 2**32)


def epoch_listeners(data: Any) -> list[Callable[[int], None]]:
    """Return the ``set_epoch`` methods of the parts of a loader that shuffle by epoch number.

    ``DistributedSampler`` and the iterable data sets of Hugging Face have a method
    ``set_epoch``, and repeat the same order unless it is called.

    Args:
        data: A loader, or other data that a user passes.

    Returns:
        Functions to be called with the epoch, counted from 0.
    """
    found = (getattr(part, "set_epoch", None) for part in parts_of(data))
    return [listener for listener in found if callable(listener)]


def parts_of(data: Any) -> list[Any]:
    """Return a loader and the objects inside it, each once, outer ones first."""
    parts: dict[int, Any] = {}
    waiting = _several(data) if isinstance(data, Mapping) else [data]
    for part in waiting:  # which grows during the loop
        if part is None or isinstance(part, Tensor) or id(part) in parts:
            continue
        parts[id(part)] = part
        waiting += [getattr(part, name, None) for name in _ONE]
        for name in _SEVERAL:
            waiting += _several(getattr(part, name, None))
    return list(parts.values())


def _several(held: Any) -> list[Any]:
    if isinstance(held, Mapping):
        return list(held.values())
    return list(held) if isinstance(held, list | tuple) else []


def _generators_of(data: Any) -> list[Any]:
    held = (value for part in parts_of(data) for value in getattr(part, "__dict__", {}).values())
    return list({id(value): value for value in held if _is_generator(value)}.values())


def _is_generator(value: Any) -> bool:
    if isinstance(value, random.SystemRandom):  # it has no state
        return False
    kinds = torch.Generator, np.random.Generator, np.random.RandomState, random.Random
    return isinstance(value, kinds)


def _kind(generator: Any) -> str:
    if isinstance(generator, np.random.Generator):
        return f"numpy {type(generator.bit_generator).__name__}"
    return type(generator).__name__


def _get_state(generator: Any) -> Any:
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if isinstance(generator, random.Random):
        return generator.getstate()
    return _plain(_numpy_state(generator))


def _set_state(generator: Any, state: Any) -> None:
    if isinstance(generator, torch.Generator):
        generator.set_state(state)
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(_like(_numpy_state(generator), state))
    else:
        generator.bit_generator.state = _like(_numpy_state(generator), state)


def _numpy_state(generator: np.random.Generator | np.random.RandomState) -> Mapping[str, Any]:
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return generator.bit_generator.state


def _plain(value: Any) -> Any:
    """Convert arrays to lists, because their numbers may be too large for a tensor."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _like(template: Any, value: Any) -> Any:
    """Convert lists back to arrays, where the template has arrays."""
    if isinstance(template, Mapping):
        return {key: _like(item, value[key]) for key, item in template.items()}
    return np.asarray(value, dtype=template.dtype) if isinstance(template, np.ndarray) else value
