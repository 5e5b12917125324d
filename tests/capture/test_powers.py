"""Powers of numbers are computed once in a graph, and its values stay the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from perceptrain_core.capture.powers import compute_powers_once


def corrected(moment: Tensor, step: Tensor) -> Tensor:
    return moment / (1 - 0.9 ** (step + 1)).sqrt()


def squared(moment: Tensor, step: Tensor) -> Tensor:
    return step * moment.pow(2)


@pytest.mark.parametrize(
    ("function", "elements", "stored"),
    [(corrected, 1000, ["div"]), (corrected, 10, []), (squared, 1000, [])],
)
def test_a_power_is_stored_for_large_tensors(
    function: object, elements: int, stored: list[str]
) -> None:
    moment, step = torch.rand(elements), torch.tensor(3.0, dtype=torch.float64)
    graph = make_fx(function)(moment, step)
    expected = graph(moment, step)
    compute_powers_once(graph.graph)
    graph.recompile()
    views = [node for node in graph.graph.nodes if "as_strided" in str(node.target)]
    assert [user.name for view in views for user in view.users] == stored
    assert torch.equal(graph(moment, step), expected)
    assert torch.equal(graph(2 * moment, step + 1), function(2 * moment, step + 1))  # type: ignore[operator]
