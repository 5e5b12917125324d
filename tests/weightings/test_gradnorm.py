from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from perceptrain import FFNN, WeightedLoss
from perceptrain.errors import TrainingError
from perceptrain_core.weightings.gradnorm import GradNorm

ROWS = {"a": [3.0, 4.0], "b": [0.0, 1.0]}


def test_the_first_update_by_hand(step):
    """Lengths 5 and 1, rates 1: a is too long and b too short, each by a step of Adam."""
    weights = step(GradNorm(lr=0.1), {"a": 1.0, "b": 2.0}, ROWS)
    assert weights == pytest.approx({"a": 0.9, "b": 1.1})


def test_renormalized_to_the_number_of_terms(step):
    """Rates 1/4 and 1: with alpha=1 the targets are 3 * 0.4 = 1.2 and 3 * 1.6 = 4.8."""
    weighting = GradNorm(1.0, lr=0.1)
    step(weighting, {"a": 4.0, "b": 2.0}, {"a": [1.0], "b": [1.0]})
    assert weighting.weights["a"] == weighting.weights["b"] == 1
    weights = step(weighting, {"a": 1.0, "b": 2.0}, ROWS)
    assert weights["a"] < 1 < weights["b"]
    assert sum(weights.values()) == pytest.approx(2)


def test_as_torch_would_train_the_weights(step):
    """Against autograd on the L1 objective, with torch's own Adam."""
    rows = {"a": [3.0, 4.0], "b": [0.0, 1.0], "c": [1.0, 1.0]}
    norms = torch.tensor([*rows.values()], dtype=torch.float64).norm(dim=1)
    weighting = GradNorm(0.7, lr=0.05)
    own = nn.Parameter(torch.ones(3, dtype=torch.float64))
    adam, first = torch.optim.Adam([own], lr=0.05, eps=1e-12), None
    for number in range(25):
        losses = torch.tensor([2.0**-number, 3.0, 1.0 / (1 + number)], dtype=torch.float64)
        first = losses if first is None else first
        rates = losses / first
        lengths = own * norms
        target = (lengths.mean() * (rates / rates.mean()) ** 0.7).detach()
        adam.zero_grad()
        (lengths - target).abs().sum().backward()
        adam.step()
        with torch.no_grad():
            own.clamp_(min=1e-3)
            own *= 3 / own.sum()
        weights = step(weighting, dict(zip(rows, losses.tolist(), strict=True)), rows)
        assert [*weights.values()] == pytest.approx(own.tolist())


def test_it_settles_where_all_gradients_have_the_same_length(step):
    weighting = GradNorm(0.0, lr=0.01)
    for _ in range(600):
        weights = step(weighting, {"a": 1.0, "b": 1.0}, ROWS)
    assert 5 * weights["a"] == pytest.approx(weights["b"], rel=0.1)


# With gradients below 1e-6, Adam's epsilon of 1e-12 shows in the sixth digit.
@given(st.floats(1e-3, 1e6), st.lists(st.floats(1e-3, 1e3), min_size=6, max_size=6))
def test_sum_and_scale(scale, values):
    rows = {"a": values[:3], "b": values[3:]}
    found = []
    for factor in (1.0, scale):
        weighting = GradNorm()
        model = nn.ParameterList([torch.ones(3, dtype=torch.float64)])
        loss_fn = WeightedLoss(_linear(rows, factor), weighting)
        for _ in range(3):
            _, metrics = loss_fn(None, model)
        found.append([metrics["weight_a"].item(), metrics["weight_b"].item()])
        assert sum(found[-1]) == pytest.approx(2)
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def _linear(rows, factor):
    def loss(batch, model):
        terms = {
            name: factor * (model[0] * torch.tensor(row, dtype=torch.float64)).sum()
            for name, row in rows.items()
        }
        return sum(terms.values()), terms

    return loss


def test_the_gradients_of_some_parameters(step):
    """By name, as the paper takes the last shared layer."""
    model, x = FFNN([1, 3, 1]).double(), torch.rand(5, 1, dtype=torch.float64)

    def loss(batch, model):
        terms = {"a": model(x).mean(), "b": model(x).square().mean()}
        return sum(terms.values()), terms

    last = [p for name, p in model.named_parameters() if name.startswith("network.2")]
    terms = loss(None, model)[1]
    norms = [
        torch.cat([g.reshape(-1) for g in torch.autograd.grad(term, last)]).norm()
        for term in terms.values()
    ]
    weighting = GradNorm(lr=0.1, parameters="network.2.*")
    WeightedLoss(loss, weighting)(None, model)
    assert (weighting.weights["a"] < 1) == bool(norms[0] > norms[1])
    with pytest.raises(
        TrainingError, match=r"called 'layer9'; expected names of parameters of FFNN: network\.0"
    ):
        WeightedLoss(loss, GradNorm(parameters="layer9"))(None, model)
