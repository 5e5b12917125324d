from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from perceptrain import DictDataLoader, to_dataloader
from perceptrain.data import GenerativeIterableDataset
from perceptrain_core.data.position.fingerprint import fingerprint

ROWS = torch.zeros(7, 2)
PLAIN = {"batches": 3, "rows": 7, "batch_size": 3, "order": "SequentialSampler"}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (to_dataloader(ROWS, batch_size=3), PLAIN),
        (to_dataloader(ROWS, batch_size=3, shuffle=True), PLAIN | {"order": "RandomSampler"}),
        ([ROWS, ROWS], {"batches": 2}),
        (iter([ROWS]), {}),
        (
            DictDataLoader({"a": to_dataloader(ROWS, batch_size=3), "b": [ROWS]}),
            {f"a.{what}": value for what, value in PLAIN.items()} | {"b.batches": 1},
        ),
    ],
)
def test_what_can_be_told_of_data(data: Any, told: dict[str, Any]) -> None:
    assert fingerprint(data) == told


def test_endless_data_have_no_length() -> None:
    points = DataLoader(GenerativeIterableDataset(lambda n: torch.rand(n, 2)), batch_size=4)
    told = fingerprint(points)
    assert told["batch_size"] == 4
    assert not {"batches", "rows"} & told.keys()
