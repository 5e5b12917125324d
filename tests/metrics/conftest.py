from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor

from perceptrain import get_metric

Over = Callable[..., Any]


@pytest.fixture
def over() -> Over:
    """Compute a metric over tensors in batches of a size."""

    def compute(name: str, scores: Tensor, labels: Tensor, size: int = 7, /, **options: Any) -> Any:
        metric = get_metric(name, **options)
        for batch in zip(scores.split(size), labels.split(size), strict=True):
            metric.update(*batch)
        return metric.compute()

    return compute
