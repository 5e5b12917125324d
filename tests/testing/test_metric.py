"""Built-in metrics and those of torchmetrics pass; one bad metric for every fault is told apart."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchmetrics
from torch import Tensor

from perceptrain import Registry, get_metric
from perceptrain.errors import ConformanceError
from perceptrain.testing import check_metric

REGRESSION = ("mae", "mse", "rmse", "r2", "explained_variance")


@pytest.mark.parametrize("name", Registry(path=[], environ={}).metrics)
def test_built_in_ones_pass(name: str) -> None:
    metric = get_metric(name)
    if name in REGRESSION:
        outputs = torch.randn(12, 2, generator=torch.Generator().manual_seed(0))
        check_metric(metric, outputs, outputs.sin())
    else:
        check_metric(metric)


def test_torchmetrics_passes() -> None:
    check_metric(torchmetrics.F1Score("multiclass", num_classes=3))
    area = torchmetrics.AUROC("multiclass", num_classes=3)
    check_metric(area, torch.randn(24, 3).softmax(1), torch.arange(24) % 3)
    # It takes outputs for probabilities if those of one batch are between 0 and 1.
    with pytest.raises(ConformanceError, match="batches of 1 row change its value"):
        check_metric(area)


class Hits:
    """The share of rows whose class has the largest output."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.hits = self.rows = 0

    def update(self, preds: Tensor, target: Tensor) -> None:
        self.hits += int((preds.argmax(1) == target).sum())
        self.rows += len(target)

    def compute(self) -> Any:
        return self.hits / self.rows

    def merge_state(self, other: Hits) -> None:
        self.hits += other.hits
        self.rows += other.rows


class OfBatches(Hits):
    def update(self, preds: Tensor, target: Tensor) -> None:
        self.hits += float(len(target) ** 2)
        self.rows += 1


class OfTheLast(Hits):
    def update(self, preds: Tensor, target: Tensor) -> None:
        self.hits, self.rows = 5 * self.hits % 7 + float(preds[-1, 0]), 1


class Keeps(Hits):
    def reset(self) -> None:
        self.hits = self.__dict__.get("hits", 0)
        self.rows = 0


class Writes(Hits):
    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update(preds, target)
        preds.add_(1)


class Counts(Hits):
    def compute(self) -> Any:
        self.hits += 1
        return super().compute()


class Nothing(Hits):
    def compute(self) -> Any:
        return {}


class Forgets(Hits):
    def __getstate__(self) -> dict[str, Any]:
        return {"hits": 0, "rows": 1}


class MergesOne(Hits):
    def merge_state(self, other: Hits) -> None:
        self.hits += other.hits


def test_a_good_one_passes() -> None:
    check_metric(Hits())


@pytest.mark.parametrize(
    ("metric", "fault"),
    [
        (OfBatches(), "batches of 5 rows change its value: collect in update"),
        (OfTheLast(), "depends on the order of the rows"),
        (Keeps(), r"after reset\(\) its value differs"),
        (Writes(), r"update\(\) changes its arguments"),
        (Counts(), r"a second compute\(\) returns another value"),
        (Nothing(), r"compute\(\) returned nothing"),
        (Forgets(), "loses what it has collected"),
        (MergesOne(), r"merge_state\(\) of 12 and 12 rows is not the value of all"),
        (Hits, "it is type; an object with update"),
        (len, "it is builtin_function_or_method; an object with update"),
    ],
)
def test_each_fault(metric: Any, fault: str) -> None:
    with pytest.raises(ConformanceError, match=fault):
        check_metric(metric)
