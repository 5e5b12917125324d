"""Evaluating a network at points, and how many coordinates it has."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_physics.wrapped import evaluating

_MOST = 10  # numbers of coordinates that are tried


def values_at(network: Any, points: Tensor) -> Tensor:
    """Return the values of a network at points, in evaluation mode and without gradients."""
    is_module = isinstance(network, nn.Module)
    parameter = next(network.parameters(), None) if is_module else None
    with torch.no_grad(), evaluating(network) if is_module else nullcontext():
        values: Tensor = network(points if parameter is None else points.to(parameter))
    return values


def other_inputs(network: Any, d: int) -> int | None:
    """Return how many coordinates a network has, if it is certain that it has not ``d``.

    For messages, after a call has failed: a network refuses points for other reasons, too.
    """
    accepted = [number for number in range(1, _MOST + 1) if _accepts(network, number)]
    return accepted[0] if len(accepted) == 1 and accepted[0] != d else None


def _accepts(network: Any, d: int) -> bool:
    try:
        values_at(network, torch.zeros(1, d, dtype=torch.float64))
    except Exception:  # any network, which may raise anything
        return False
    return True


def coordinates(d: int, names: Sequence[str] = ()) -> str:
    """Return a number with its noun and the names: "2 coordinates (t, x)"."""
    noun = "coordinate" if d == 1 else "coordinates"
    return f"{d} {noun} ({', '.join(names)})" if names else f"{d} {noun}"
