from __future__ import annotations

import torch

from perceptrain import WeightedLoss
from perceptrain_core.weightings.random import RandomWeighting


def test_the_softmax_of_normal_numbers(step):
    torch.manual_seed(4)
    drawn = torch.randn(2, 3, dtype=torch.float64).softmax(dim=1)
    torch.manual_seed(4)
    weighting, terms = RandomWeighting(), {"a": 1.0, "b": 0.0, "c": 9.0}
    for row in drawn:
        assert [*step(weighting, terms).values()] == row.tolist()


def test_drawn_every_so_many_steps():
    model = torch.nn.Linear(1, 1)

    def loss(batch, model):
        terms = {"a": model.weight.sum(), "b": model.bias.sum()}
        return sum(terms.values()), terms

    loss_fn = WeightedLoss(loss, RandomWeighting(every=2))
    seen = [loss_fn(None, model)[1]["weight_a"].item() for _ in range(6)]
    assert seen[::2] == seen[1::2]
    assert len({*seen}) == 3
