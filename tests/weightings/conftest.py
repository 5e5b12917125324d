from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain.weightings import TermGradients, Weighting

Step = Callable[..., dict[str, float]]


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def no_gradients() -> Any:
    raise AssertionError("this scheme needs no gradients")


@pytest.fixture
def step() -> Step:
    """Update a weighting by hand: the terms as numbers, and their gradients as rows."""

    def step(
        weighting: Weighting, terms: dict[str, float], rows: dict[str, list[float]] | None = None
    ) -> dict[str, float]:
        def grads() -> TermGradients:
            matrix = torch.tensor([*(rows or {}).values()], dtype=torch.float64)
            parameter = nn.Parameter(torch.zeros(matrix.shape[1], dtype=torch.float64))
            return TermGradients((*(rows or {}),), matrix, [parameter], [True])

        values = {name: number(value) for name, value in terms.items()}
        weights = weighting.update(values, no_gradients if rows is None else grads)
        return {name: weight.item() for name, weight in weights.items()}

    return step
