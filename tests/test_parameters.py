from __future__ import annotations

import torch
from torch import nn

from perceptrain_core.parameters import buffers_of, parameters_of


def test_parameters_come_once_and_in_order() -> None:
    model, extra = nn.Linear(2, 1), nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([extra, *model.parameters()], lr=0.1)
    found = parameters_of(model, None, optimizer, model)
    assert [id(p) for p in found] == [id(p) for p in (model.weight, model.bias, extra)]


def test_buffers_come_once() -> None:
    norm = nn.BatchNorm1d(2)
    assert [id(b) for b in buffers_of(norm, "x", norm)] == [id(b) for b in norm.buffers()]
