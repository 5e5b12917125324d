"""Rows of two processes, and the gradient of a loss that compares them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from perceptrain import gather_rows
from perceptrain_core.engine import make_engine
from perceptrain_core.engine.launch import run_in_processes

from ..shared import pickled_by_value

ROWS, SIZES = 5, (2, 3)


def rows() -> Tensor:
    return torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def spread(points: Tensor) -> Tensor:
    """A loss that depends on all rows together."""
    return torch.cdist(points.tanh(), points.sin()).square().logsumexp((0, 1))


def share() -> Any:
    """What a process sees with its own rows."""
    torch.set_num_threads(1)
    engine = make_engine()
    mine = rows().split(SIZES)[engine.rank]
    scale = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    points = gather_rows(mine * scale)
    loss = spread(points)
    (gradient,) = torch.autograd.grad(loss, scale)
    labels = gather_rows(torch.arange(ROWS).split(SIZES)[engine.rank])
    return engine.gather((loss.item(), gradient.item(), points.detach(), labels))


@pytest.fixture(scope="module")
def both(forked_workers: None) -> Any:
    with pickled_by_value(__name__):
        return run_in_processes(share, 2)


def test_every_process_has_all_rows_in_order(both: Any) -> None:
    for _, _, points, labels in both:
        torch.testing.assert_close(points, 0.7 * rows())
        assert labels.tolist() == list(range(ROWS))


def test_the_mean_gradient_is_that_of_one_process(both: Any) -> None:
    scale = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    loss = spread(rows() * scale)
    loss.backward()
    assert [each[0] for each in both] == pytest.approx([loss.item()] * 2, rel=1e-12)
    assert sum(each[1] for each in both) / 2 == pytest.approx(scale.grad.item(), rel=1e-12)


def test_one_process_has_its_rows() -> None:
    own = rows()
    assert gather_rows(own) is own
