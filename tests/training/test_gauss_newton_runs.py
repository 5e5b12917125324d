"""Runs of the trainer with Gauss-Newton steps."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from math import pi
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from torch import Tensor, nn

from perceptrain import FFNN, PINN, TrainConfig, Trainer, WeightedLoss, default_optimize_step
from perceptrain.errors import (
    CaptureError,
    LossContractError,
    NonFiniteLossError,
    TrainingError,
)
from perceptrain.optimizers import GaussNewton, SequentialOptimizer

from ..shared import same


def config(**options: Any) -> TrainConfig:
    return TrainConfig(**{"dtype": torch.float64, "verbose": False, **options})


def poisson(t: Tensor, u: Any) -> Tensor:
    """u'' = -pi^2 sin(pi t), whose solution is sin(pi t)."""
    (v,) = torch.autograd.grad(u(t).sum(), t, create_graph=True)
    (a,) = torch.autograd.grad(v.sum(), t, create_graph=True)
    return a + pi**2 * (pi * t).sin()


def pinn() -> PINN:
    torch.manual_seed(0)
    return PINN(FFNN([1, 12, 1]).double(), {"pde": poisson, "ends": lambda t, u: u(t)})


def points(count: int = 40) -> dict[str, Tensor]:
    t = torch.linspace(0, 1, count, dtype=torch.float64).unsqueeze(1)
    return {"pde": t, "ends": t[[0, -1]]}


def error(model: PINN) -> float:
    t = torch.linspace(0, 1, 101, dtype=torch.float64).unsqueeze(1)
    truth = (pi * t).sin()
    with torch.no_grad():
        return float((model.nn(t) - truth).norm() / truth.norm())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:A Gauss-Newton step found no lower loss")  # at the minimum
@pytest.mark.parametrize(
    ("options", "reached"),
    [
        ({}, 5e-3),
        ({"method": "engd"}, 1e-4),
        ({"method": "spring"}, 1e-3),
        ({"solver": "cg"}, 5e-3),
    ],
    ids=["lm", "engd", "spring", "cg"],
)
def test_solves_an_equation(options: dict[str, Any], reached: float) -> None:
    model = pinn()
    optimizer = {"name": "gauss_newton", **options}
    trainer = Trainer(model, optimizer, config(max_iter=20), loss_fn="mse")
    trainer.fit([points()])
    losses = [row["train_loss"] for row in trainer.history]
    assert losses == sorted(losses, reverse=True)
    assert error(model) < reached


@pytest.mark.slow
def test_a_network_too_large_for_a_matrix() -> None:
    """About 100,000 parameters, for which conjugate gradients are chosen."""
    torch.manual_seed(0)
    network = FFNN([1, 220, 220, 220, 1]).double()
    model = PINN(network, {"pde": poisson, "ends": lambda t, u: u(t)})
    trainer = Trainer(model, "gauss_newton", config(max_iter=3), loss_fn="mse")
    trainer.fit([points(30)])
    assert sum(p.numel() for p in network.parameters()) == 97_901
    assert trainer.history[-1]["train_loss"] < 1e-2 * trainer.history[0]["train_loss"]


def test_equations_may_use_the_transforms_of_torch_func() -> None:
    def slope(t: Tensor, u: Any) -> Tensor:
        (v,) = torch.autograd.grad(u(t).sum(), t, create_graph=True)
        return v + u(t)

    def transformed(t: Tensor, u: Any) -> Tensor:
        v = torch.func.vmap(torch.func.jacrev(lambda point: u(point.unsqueeze(0))[0]))(t)
        return v.squeeze(-1) + u(t)

    def losses(equation: Any) -> list[float]:
        torch.manual_seed(0)
        model = PINN(FFNN([1, 5, 5, 1]).double(), {"pde": equation, "ends": lambda t, u: u(t) - 1})
        trainer = Trainer(model, "gauss_newton", config(max_iter=8), loss_fn="mse")
        trainer.fit([points(20)])
        return [row["train_loss"] for row in trainer.history]

    assert losses(transformed) == pytest.approx(losses(slope), rel=1e-6)


def test_a_wrong_jacobian_is_found_where_the_residuals_vanish() -> None:
    """With all outputs 0, any Jacobian of these terms has the right product with the residuals."""

    def pde(t: Tensor, u: Any) -> Tensor:
        (v,) = torch.autograd.grad(u(t).sum(), t, create_graph=True)
        return v + 1

    network = FFNN([1, 5, 1]).double()
    for parameter in [*network.parameters()][-2:]:
        nn.init.zeros_(parameter)
    model = PINN(network, {"pde": pde, "ends": lambda t, u: u(t) - u(t).mean()})
    batch = {"pde": points()["pde"], "ends": points()["pde"]}
    trainer = Trainer(model, "gauss_newton", config(max_iter=1), loss_fn="mse")
    with pytest.raises(TrainingError, match="residuals of the term 'ends' were differentiated row"):
        trainer.fit([batch])


def test_batches_of_other_sizes_are_checked_too() -> None:
    """The integral has as many points as the second batch has rows."""
    places = torch.linspace(0, 1, 11, dtype=torch.float64).unsqueeze(1)
    model = PINN(FFNN([1, 5, 1]).double(), {"pde": lambda t, u: u(t) - u(places).mean() * t})
    batches = [{"pde": points(count)["pde"]} for count in (30, 11)]
    trainer = Trainer(model, "gauss_newton", config(max_iter=1), loss_fn="mse")
    with pytest.raises(TrainingError, match="residuals of the term 'pde' were differentiated row"):
        trainer.fit(batches)
    assert trainer.global_step == 1


def test_follows_an_optimizer_with_groups() -> None:
    model = pinn()
    first, *others = model.parameters()
    groups = [{"params": [first], "lr": 1e-2}, {"params": others}]
    adam = torch.optim.Adam(groups, lr=1e-3)
    gauss_newton = GaussNewton([*model.parameters()])
    optimizer = SequentialOptimizer([*model.parameters()], [adam, gauss_newton], [2])
    Trainer(model, optimizer, config(max_iter=30), loss_fn="mse").fit([points()])
    assert error(model) < 1e-3


def test_linear_layers_whose_weight_is_computed() -> None:
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 20, dtype=torch.float64).unsqueeze(1)
    layer = nn.Linear(1, 6).double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch prefers its parametrizations
        nn.utils.weight_norm(layer)
    model = nn.Sequential(layer, nn.Tanh(), nn.Linear(6, 1).double())
    trainer = Trainer(model, "gauss_newton", config(max_iter=20), loss_fn="mse")
    trainer.fit([(x, x**2)])
    assert trainer.history[-1]["train_loss"] < 1e-2 * trainer.history[0]["train_loss"]


class Product(nn.Module):
    """A module that torch.vmap evaluates slowly, of which it warns."""

    def __init__(self) -> None:
        super().__init__()
        self.product, self.last = nn.Bilinear(1, 1, 6), nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.last(self.product(x, x).tanh())
        return outputs


def test_modules_that_vmap_warns_of_are_mapped_in_silence() -> None:
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 20, dtype=torch.float64).unsqueeze(1)
    trainer = Trainer(Product().double(), "gauss_newton", config(max_iter=20), loss_fn="mse")
    trainer.fit([(x, x**2 - x**4)])
    assert trainer.history[-1]["train_loss"] < 1e-2 * trainer.history[0]["train_loss"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lm", "spring"])
def test_accepts_new_points(method: str) -> None:
    """Points that change at every third step."""

    class Loader:
        def __iter__(self) -> Iterator[Any]:
            generator = torch.Generator().manual_seed(1)
            while True:
                inside = torch.rand(60, 1, dtype=torch.float64, generator=generator)
                yield from [points() | {"pde": inside}] * 3

    model = pinn()
    settings = config(max_iter=1, max_steps=40)
    trainer = Trainer(model, {"name": "gauss_newton", "method": method}, settings, loss_fn="mse")
    trainer.fit(Loader())
    assert error(model) < 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"method": "spring"}, {"solver": "cg"}])
def test_resumes_bit_for_bit(options: dict[str, Any], tmp_path: Path) -> None:
    def run(steps: int, folder: Path, resume: bool = False) -> tuple[PINN, Any]:
        model = pinn()
        optimizer = GaussNewton(model.parameters(), **options)
        loss_fn = WeightedLoss("mse", {"name": "relobralo"})
        settings = config(max_iter=steps, checkpoint_every=1, log_folder=folder, seed=2)
        trainer = Trainer(model, optimizer, settings, loss_fn=loss_fn)
        trainer.fit([points()], resume=resume)
        return model, optimizer.state_dict()["state"]

    whole, state = run(8, tmp_path / "whole")
    run(3, tmp_path / "parts")
    resumed, resumed_state = run(8, tmp_path / "parts", resume=True)
    assert same(resumed, whole)
    assert same(resumed_state, state)


def test_finds_the_coefficient_of_an_equation() -> None:
    """u' = -k u with k = 1.7, which only the equation holds, from values of u."""
    torch.manual_seed(0)
    k = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

    def decay(t: Tensor, u: Any) -> Tensor:
        (v,) = torch.autograd.grad((value := u(t)).sum(), t, create_graph=True)
        return v + k * value

    model = PINN(
        FFNN([1, 10, 1]).double(),
        {"ode": decay, "data": lambda t, u: u(t) - torch.exp(-1.7 * t)},
    )
    t = torch.linspace(0, 2, 30, dtype=torch.float64).unsqueeze(1)
    optimizer = GaussNewton([*model.parameters(), k])
    trainer = Trainer(model, optimizer, config(max_iter=60), loss_fn="mse")
    trainer.fit([{"ode": t, "data": t[::6]}])
    assert k.item() == pytest.approx(1.7, abs=1e-5)


@pytest.mark.slow
def test_a_regression_is_that_of_scipy() -> None:
    torch.manual_seed(0)
    x = torch.linspace(-2, 2, 50, dtype=torch.float64).unsqueeze(1)
    y = torch.tanh(2 * x) + 0.3 * x**2
    model = nn.Sequential(nn.Linear(1, 2), nn.Tanh(), nn.Linear(2, 1)).double()
    shapes = {name: p.shape for name, p in model.named_parameters()}
    sizes = [p.numel() for p in model.parameters()]

    def residuals(theta: np.ndarray[Any, Any]) -> Any:
        split = torch.from_numpy(theta).split(sizes)
        own = {n: part.view(shapes[n]) for n, part in zip(shapes, split, strict=True)}
        return (torch.func.functional_call(model, own, (x,)) - y).detach().flatten().numpy()

    start = torch.cat([p.detach().flatten() for p in model.parameters()]).numpy().copy()
    truth = least_squares(residuals, start, method="lm", xtol=1e-14, ftol=1e-14, max_nfev=5000)
    trainer = Trainer(model, "gauss_newton", config(max_iter=100), loss_fn=nn.MSELoss())
    trainer.fit([(x, y)])
    final = trainer.history[-1]["train_loss"]
    assert final == pytest.approx(2 * truth.cost / len(x), rel=1e-9)


def test_accumulated_batches_are_one() -> None:
    whole, parts = pinn(), pinn()
    all_points = points(40)
    halves = [{n: p[k::2] for n, p in all_points.items()} for k in range(2)]
    Trainer(whole, "gauss_newton", config(max_iter=3), loss_fn="mse").fit([all_points])
    settings = config(max_iter=3, accumulate=2)
    Trainer(parts, "gauss_newton", settings, loss_fn="mse").fit(halves)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def test_logs_the_norm_of_the_gradient() -> None:
    trainer = Trainer(pinn(), "gauss_newton", config(max_iter=2, log_grad_norm=True), loss_fn="mse")
    trainer.fit([points()])
    assert all(row["train_grad_norm"] > 0 for row in trainer.history)


def test_a_point_where_the_loss_is_not_finite_is_not_taken() -> None:
    """The loss has a logarithm, whose argument falls below 0 with the full step."""

    class Log(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.tensor(3.0, dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            return torch.log(self.w * x)

    model, x = Log(), torch.ones(4, 1, dtype=torch.float64)
    optimizer = {"name": "gauss_newton", "damping": 1e-9}
    trainer = Trainer(model, optimizer, config(max_iter=30), loss_fn="mse")
    trainer.fit([(x, torch.zeros_like(x))])
    assert model.w.item() == pytest.approx(1.0)


@pytest.mark.parametrize("policy", ["raise", "skip", "ignore"])
def test_a_loss_that_is_nan(policy: Any) -> None:
    x = torch.linspace(-1, 1, 12, dtype=torch.float64).unsqueeze(1)
    batches = [(x, x**2), (x, x * torch.nan), (x, x**2)]
    model = FFNN([1, 4, 1]).double()
    settings = config(max_iter=1, on_nonfinite=policy)
    trainer = Trainer(model, "gauss_newton", settings, loss_fn="mse")
    if policy == "raise":
        with pytest.raises(NonFiniteLossError, match="epoch 1, batch 2: the loss is nan"):
            trainer.fit(batches)
    elif policy == "skip":
        with pytest.warns(UserWarning, match="1 of 3 batches were skipped"):
            trainer.fit(batches)
    else:
        trainer.fit(batches)
        assert trainer.history[-1]["train_loss"] != trainer.history[-1]["train_loss"]
    assert all(p.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    "options",
    [
        {"grad_clip": 1.0},
        {"grad_clip_value": 1.0},
        {"precision": "bf16"},
    ],
)
def test_settings_without_a_meaning_are_refused(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(TrainingError, match=f"{name}=.*GaussNewton"):
        Trainer(pinn(), "gauss_newton", config(**options), loss_fn="mse").fit([points()])


def test_a_schedule_has_nothing_to_set() -> None:
    settings = config(lr_scheduler="cosine_annealing")
    with pytest.raises(
        TrainingError, match="sets learning rates, but GaussNewton is a second-order"
    ):
        Trainer(pinn(), "gauss_newton", settings, loss_fn="mse").fit([points()])


def test_losses_with_trained_weights_are_refused() -> None:
    with pytest.raises(TrainingError, match="GaussNewton minimizes the squares of residuals"):
        Trainer(pinn(), "gauss_newton", config(), loss_fn="mse", weighting="uncertainty")


def test_a_loss_that_is_no_sum_of_squares_is_refused() -> None:
    trainer = Trainer(pinn(), "gauss_newton", config(max_iter=1), loss_fn="huber")
    with pytest.raises(LossContractError, match="huber_loss has no residuals"):
        trainer.fit([points()])


def test_steps_are_not_captured() -> None:
    model, plain = pinn(), pinn()
    trainer = Trainer(model, "gauss_newton", config(max_iter=2, compile=True), loss_fn="mse")
    with pytest.warns(UserWarning, match="cannot be captured: it evaluates residuals row by row"):
        trainer.fit([points()])
    Trainer(plain, "gauss_newton", config(max_iter=2), loss_fn="mse").fit([points()])
    assert same(model, plain)
    strict = Trainer(pinn(), "gauss_newton", config(compile="strict"), loss_fn="mse")
    with pytest.raises(CaptureError):
        strict.fit([points()])


def test_other_steps_of_a_sequence_are_not_captured_either() -> None:
    both = {"name": "sequential", "optimizers": ["adam", "gauss_newton"], "milestones": [1]}
    trainer = Trainer(pinn(), both, config(max_iter=2, compile=True), loss_fn="mse")
    with pytest.warns(UserWarning, match="captured: one of its optimizers evaluates residuals"):
        trainer.fit([points()])


def test_several_processes_are_refused() -> None:
    settings = config(max_iter=1, nprocs=2, compute_setup="cpu")
    trainer = Trainer(pinn(), "gauss_newton", settings, loss_fn="mse")
    with pytest.raises(TrainingError, match="GaussNewton cannot train in several processes"):
        trainer.fit([points()])


def test_a_step_of_ones_own_gets_the_optimizer() -> None:
    """`default_optimize_step` takes Gauss-Newton steps in a function of the user's own."""
    model = pinn()

    def own(*arguments: Any, **options: Any) -> Any:
        return default_optimize_step(*arguments, **options)

    trainer = Trainer(model, "gauss_newton", config(max_iter=20), loss_fn="mse", optimize_step=own)
    trainer.fit([points()])
    assert error(model) < 0.01


def test_short_trials_leave_the_run_as_it_was() -> None:
    trainer = Trainer(pinn(), "gauss_newton", config(max_iter=2), loss_fn="mse")
    trainer.fit([points()])
    before = [p.detach().clone() for p in trainer.model.parameters()]
    state = str(trainer.optimizer.state_dict()["state"])
    result = trainer.overfit_batch(points(), steps=3)
    assert result.last < result.first
    with pytest.raises(TrainingError, match="GaussNewton"):
        trainer.find_lr([points()])
    assert same(before, [p.detach() for p in trainer.model.parameters()])
    assert str(trainer.optimizer.state_dict()["state"]) == state
