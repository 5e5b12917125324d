from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from perceptrain import FFNN, PINN, WeightedLoss
from perceptrain.errors import ConfigError
from perceptrain_core.weightings.ntk import NTK, mean_trace


class Line(nn.Module):
    """Residuals ``p x + q`` and ``2 q`` at points x, for parameters p and q."""

    def __init__(self):
        super().__init__()
        self.p = nn.Parameter(torch.ones((), dtype=torch.float64))
        self.q = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, batch):
        return {"pde": self.p * batch["pde"] + self.q, "bc": 2 * self.q + 0 * batch["bc"]}


def squares(batch, model):
    terms = {name: r.square().mean() for name, r in model(batch).items()}
    return sum(terms.values()), terms


def points(*values):
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1)


@pytest.mark.parametrize("chunk", [1, 2, 64])
def test_by_hand(chunk):
    """Rows (x, 1) at 1, 2, 3: mean squared norm (2 + 5 + 10) / 3 = 17/3; rows (0, 2): 4."""
    batch = {"pde": points(1, 2, 3), "bc": points(0)}
    weighting = NTK(chunk=chunk)
    _, metrics = WeightedLoss(squares, weighting)(batch, Line())
    total = 17 / 3 + 4
    assert metrics["weight_pde"].item() == pytest.approx(total / (17 / 3))
    assert metrics["weight_bc"].item() == pytest.approx(total / 4)
    assert weighting.every == 1000


def test_points_given_twice_change_nothing():
    weights = []
    for repeats in (1, 2):
        batch = {"pde": points(1, 2, 3).repeat(repeats, 1), "bc": points(0)}
        weights.append(WeightedLoss(squares, NTK())(batch, Line())[1]["weight_pde"].item())
    assert weights[0] == pytest.approx(weights[1])


@settings(deadline=None, max_examples=10)
@given(st.integers(1, 5), st.integers(1, 7), st.integers(0, 99))
def test_the_trace_of_the_whole_kernel_of_a_pinn(width, chunk, seed):
    torch.manual_seed(seed)

    def ode(t, u):
        (du,) = torch.autograd.grad(u(t).sum(), t, create_graph=True)
        (ddu,) = torch.autograd.grad(du.sum(), t, create_graph=True)
        return ddu + u(t) ** 2

    model = PINN(FFNN([1, width, 1]).double(), {"ode": ode, "start": lambda t, u: u(t) - 1})
    batch = {"ode": torch.rand(6, 1).double(), "start": torch.rand(2, 1).double()}
    parameters = [*model.parameters()]
    for residual in model(batch).values():
        rows = [
            torch.autograd.grad(r, parameters, retain_graph=True, materialize_grads=True)
            for r in residual.reshape(-1)
        ]
        jacobian = torch.stack([torch.cat([g.reshape(-1) for g in row]) for row in rows])
        expected = (jacobian @ jacobian.T).trace() / len(rows)
        torch.testing.assert_close(mean_trace(residual, parameters, chunk), expected)


def test_residuals_handed_over_by_a_function():
    def residuals(batch, model):
        return {"data": model(batch[0]) - batch[1]}

    def loss(batch, model):
        term = residuals(batch, model)["data"].square().mean()
        return term, {"data": term}

    batch = (torch.rand(4, 1), torch.rand(4, 1))
    loss_fn = WeightedLoss(loss, NTK(residuals=residuals))
    assert loss_fn(batch, FFNN([1, 2, 1]))[1]["weight_data"] == 1
    with pytest.raises(ConfigError, match=r"got a Tensor\. Use a model .*residuals="):
        WeightedLoss(loss, NTK())(batch, FFNN([1, 2, 1]))
    with pytest.raises(ConfigError, match="no residuals of 'data'; there are 'x'"):
        WeightedLoss(loss, NTK(residuals=lambda b, m: {"x": m(b[0])}))(batch, FFNN([1, 2, 1]))


def test_residuals_without_a_gradient_keep_their_weight_and_small_ones_are_held():
    def scaled(size):
        return lambda b, m: {"pde": m(b)["pde"], "bc": size * m(b)["bc"]}

    batch = {"pde": points(1, 2, 3), "bc": points(0)}
    metrics = WeightedLoss(squares, NTK(residuals=scaled(0)))(batch, Line())[1]
    assert (metrics["weight_pde"], metrics["weight_bc"]) == (1, 1)
    with pytest.warns(UserWarning, match="weight of bc is held at max_weight=50"):
        WeightedLoss(squares, NTK(residuals=scaled(1e-3), max_weight=50))(batch, Line())


def test_residuals_by_a_reference_and_a_model_that_cannot_take_the_batch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text("def twice(batch, model):\n    return {'x': 2 * model.p}\n")
    model = Line()
    assert NTK(residuals="./own.py:twice").residuals(None, model)["x"] == 2
    with pytest.raises(ConfigError, match=r"ntk weighting could not evaluate Line on a tuple .*"):
        WeightedLoss(lambda b, m: squares(b[0], m), NTK())(
            ({"pde": points(1), "bc": points(0)},), model
        )
