"""Gauss-Newton steps on the networks, losses and problems of this plugin."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, PINN, TrainConfig, Trainer, WeightedLoss
from perceptrain.errors import LossContractError, TrainingError
from perceptrain.optimizers import GaussNewton
from perceptrain_physics import (
    MLP,
    CausalLoss,
    FourierFeatures,
    HardBoundary,
    ModifiedMLP,
    Periodic,
    Poisson,
    RandomWeightFactorization,
    ResidualAttentionLoss,
    SelfAdaptiveLoss,
    laplacian,
    partials,
)

SIZES = {"pde": 12, "start": 5}


def equation(points: Tensor, network: Any) -> Tensor:
    u, u_x, u_yy = partials(network, points, "", "x", "yy")
    return u * u_x + u_yy


def pinn(network: nn.Module) -> PINN:
    return PINN(network.double(), {"pde": equation, "start": lambda x, u: u(x) - 1})


def batch() -> dict[str, Tensor]:
    torch.manual_seed(2)
    return {name: torch.rand(size, 2, dtype=torch.float64) for name, size in SIZES.items()}


def train(model: PINN, loss_fn: Any = "mse", steps: int = 10, **options: Any) -> list[float]:
    config = TrainConfig(max_iter=steps, dtype=torch.float64, verbose=False)
    trainer = Trainer(model, {"name": "gauss_newton", **options}, config, loss_fn=loss_fn)
    trainer.fit([batch()])
    return [row["train_loss"] for row in trainer.history]


def networks() -> list[nn.Module]:
    torch.manual_seed(1)
    return [
        MLP([2, 6, 6, 1]),
        ModifiedMLP([2, 6, 6, 1]),
        FourierFeatures([2, 6, 1], features=4),
        RandomWeightFactorization([2, 6, 1]),
        Periodic(FFNN([3, 6, 1]), [None, 2.0]),
        HardBoundary(FFNN([2, 6, 1]), {"low": [0, 0], "high": [1, 1]}),
    ]


@pytest.mark.parametrize("network", networks(), ids=lambda n: type(n).__name__)
def test_every_network_is_trained(network: nn.Module) -> None:
    """The first step compares the Jacobian with the gradient."""
    losses = train(pinn(network))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.7 * losses[0]


def losses() -> list[Any]:
    return [
        pytest.param(CausalLoss(epsilon=[0.1, 1.0], slabs=3), id="causal"),
        pytest.param(CausalLoss(["pde", "start"]), id="causal, two conditions"),
        pytest.param(ResidualAttentionLoss(start=0.5), id="residual_attention"),
        pytest.param(
            WeightedLoss(CausalLoss(slabs=3), {"name": "grad_weighted", "fixed_metric": "pde"}),
            id="causal, weighted",
        ),
    ]


@pytest.mark.parametrize("loss_fn", losses())
def test_the_squares_of_weighted_points_sum_up_to_the_loss(loss_fn: Any) -> None:
    torch.manual_seed(1)
    model = pinn(FFNN([2, 6, 1]))
    loss_fn.begin_step()
    for _ in range(2):
        loss, _ = loss_fn(batch(), model)
        state = {name: torch.as_tensor(v).clone() for name, v in plain(loss_fn).items()}
        terms = loss_fn.residuals(batch(), model)
        total = torch.stack([(scale * v.square()).sum() for v, scale in terms.values()]).sum()
        torch.testing.assert_close(total, loss)
        assert all(not torch.as_tensor(scale).requires_grad for _, scale in terms.values())
        assert all(
            torch.equal(torch.as_tensor(v), state[name]) for name, v in plain(loss_fn).items()
        )


def plain(loss_fn: nn.Module) -> dict[str, Any]:
    return {name: v for name, v in loss_fn.state_dict().items() if isinstance(v, Tensor)}


def mean_square(model: PINN) -> float:
    return sum(r.detach().square().mean().item() for r in model(batch()).values())


@pytest.mark.slow
@pytest.mark.parametrize("loss_fn", losses())
def test_weighted_points_are_trained(loss_fn: Any) -> None:
    torch.manual_seed(1)
    model = pinn(FFNN([2, 6, 1]))
    before = mean_square(model)
    train(model, loss_fn, steps=20)
    assert mean_square(model) < 0.1 * before


def test_residuals_of_several_columns_have_a_weight_a_row() -> None:
    torch.manual_seed(1)
    model = PINN(FFNN([2, 6, 2]).double(), {"pde": lambda x, u: u(x) ** 2 - 1})
    points = {"pde": batch()["pde"]}
    loss_fn = ResidualAttentionLoss(start=0.5)
    loss, _ = loss_fn(points, model)
    ((values, scale),) = loss_fn.residuals(points, model).values()
    assert scale.shape == (12, 1)
    torch.testing.assert_close((scale * values.square()).sum(), loss)


def test_weights_that_are_trained_upwards_are_refused() -> None:
    loss_fn = SelfAdaptiveLoss(SIZES)
    with pytest.raises(TrainingError, match="SelfAdaptiveLoss has parameters of its own"):
        train(pinn(FFNN([2, 6, 1])), loss_fn)
    model = pinn(FFNN([2, 6, 1]))
    optimizer = GaussNewton([*model.parameters(), *loss_fn.parameters()])
    trainer = Trainer(model, optimizer, TrainConfig(max_iter=1, verbose=False), loss_fn=loss_fn)
    with pytest.raises(LossContractError, match="trains its weights upwards"):
        trainer.fit([batch()])


@pytest.mark.slow
def test_poisson_is_solved() -> None:
    torch.manual_seed(0)
    problem = Poisson(d=2)
    model = problem.pinn("mlp", hidden=[16]).double()
    axis = torch.linspace(0, 1, 16, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    inside = ((grid > 0) & (grid < 1)).all(1)
    config = TrainConfig(max_iter=80, dtype=torch.float64, verbose=False)
    trainer = Trainer(model, "gauss_newton", config, loss_fn="mse")
    trainer.fit([{"pde": grid[inside], "boundary": grid[~inside]}])
    assert problem.relative_l2(model, 30) < 2e-3


@pytest.mark.slow
def test_the_stiffness_of_an_oscillator_is_found() -> None:
    """An inverse problem: u'' = -k u with k = 9, from values of sin(3 x)."""
    torch.manual_seed(0)
    network = MLP([1, 20, 1], mean=0.5, deviation=0.3).double()
    k = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))

    def oscillation(x: Tensor, u: Any) -> Tensor:
        return laplacian(u(x), x) + k * u(x)

    model = PINN(network, {"pde": oscillation, "data": lambda x, u: u(x) - (3 * x).sin()})
    x = torch.linspace(0, 1, 30, dtype=torch.float64).unsqueeze(1)
    config = TrainConfig(max_iter=80, dtype=torch.float64, verbose=False)
    optimizer = GaussNewton([*model.parameters(), k])
    Trainer(model, optimizer, config, loss_fn="mse").fit([{"pde": x, "data": x[::5]}])
    assert k.item() == pytest.approx(9.0, abs=1e-3)
