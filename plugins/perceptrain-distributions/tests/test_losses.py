"""The losses against geomloss itself and against truths that know nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from geomloss import SamplesLoss
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.stats import energy_distance, wasserstein_distance
from torch import Tensor, nn

from perceptrain import FFNN, DictDataLoader, TrainConfig, Trainer, get_loss, to_dataloader
from perceptrain.testing import check_loss

CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("sinkhorn", "sinkhorn", {}),
    ("sinkhorn", "sinkhorn", {"p": 1, "blur": 0.1, "scaling": 0.7}),
    ("sinkhorn", "sinkhorn", {"reach": 0.5, "diameter": 4.0}),
    ("sinkhorn", "sinkhorn", {"p": 1, "reach": 0.3, "debias": False}),
    ("sinkhorn", "sinkhorn", {"debias": False}),
    ("sinkhorn", "sinkhorn", {"cost": lambda x, y: torch.cdist(x, y) ** 1.5, "p": 1.5}),
    ("energy", "energy", {}),
    ("gaussian_mmd", "gaussian", {}),
    ("gaussian_mmd", "gaussian", {"blur": 0.7}),
    ("laplacian_mmd", "laplacian", {"blur": 0.7}),
]
NAMES = ["sinkhorn", "energy", "gaussian_mmd", "laplacian_mmd"]
#: A width at which a test's clouds see each other.
WIDE = {"gaussian_mmd": {"blur": 0.5}, "laplacian_mmd": {"blur": 0.5}}


def normalized(*shape: int) -> Tensor:
    weights = torch.rand(*shape) + 0.1
    return weights / weights.sum(-1, keepdim=True)


def gradients(loss: Tensor, model: nn.Module) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, list(model.parameters()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sizes", [(), (3,)], ids=["one cloud", "several"])
@pytest.mark.parametrize(("name", "geomloss_name", "options"), CASES)
def test_values_and_gradients_are_those_of_geomloss(
    name: str,
    geomloss_name: str,
    options: dict[str, Any],
    sizes: tuple[int, ...],
    weighted: bool,
    dtype: torch.dtype,
) -> None:
    model = FFNN([3, 8, 2]).to(dtype)
    inputs, points = (
        torch.randn(*sizes, 12, 3, dtype=dtype),
        torch.rand(*sizes, 9, 2, dtype=dtype),
    )
    truth = SamplesLoss(geomloss_name, backend="tensorized", **options)
    if weighted:
        weights, own = normalized(*sizes, 9).to(dtype), normalized(*sizes, 12).to(dtype)
        batch: Any = {
            "inputs": inputs,
            "points": points,
            "weights": weights,
            "input_weights": own[..., None],
        }
        expected = truth(own, model(inputs), weights, points).mean()
    else:
        batch = (inputs, points)
        expected = truth(model(inputs), points).mean()
    loss, metrics = get_loss(name, **options)(batch, model)
    assert metrics == {}
    torch.testing.assert_close(loss, expected, rtol=0, atol=0)
    torch.testing.assert_close(gradients(loss, model), gradients(expected, model), rtol=0, atol=0)


@pytest.mark.parametrize("given", ["weights", "input_weights"])
def test_weights_that_are_not_given_are_equal(given: str) -> None:
    clouds = {"inputs": torch.randn(4, 2), "points": torch.randn(4, 2)}
    weights = normalized(4)
    both = {"weights": torch.full((4,), 0.25), "input_weights": torch.full((4,), 0.25)}
    loss_fn = get_loss("energy")
    first, _ = loss_fn({**clouds, given: weights}, nn.Identity())
    second, _ = loss_fn({**clouds, **both, given: weights}, nn.Identity())
    torch.testing.assert_close(first, second)


@pytest.mark.usefixtures("float64")
def test_sinkhorn_is_optimal_transport_on_a_line() -> None:
    """The distance of sorted samples, for ``W_1`` and for ``W_2``."""
    x, y, weights = torch.randn(30), 0.5 * torch.randn(40) + 1, normalized(40)
    exact = {"blur": 1e-3, "scaling": 0.95}
    one = get_loss("sinkhorn", p=1, **exact)
    truth = wasserstein_distance(x, y, None, weights)
    assert one.distance(x[:, None], y[:, None], weights).item() == pytest.approx(truth, rel=1e-2)
    two = get_loss("sinkhorn", p=2, **exact)
    squares = (x.sort().values - y[:30].sort().values).square().mean() / 2
    torch.testing.assert_close(two.distance(x[:, None], y[:30, None]), squares, rtol=2e-3, atol=0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("p", [1, 2])
def test_sinkhorn_is_the_best_assignment(p: int) -> None:
    x, y = torch.randn(40, 2), torch.rand(40, 2) + 1
    costs = cdist(x, y) ** p / p
    truth = costs[linear_sum_assignment(costs)].mean()
    found = get_loss("sinkhorn", p=p, blur=1e-3, scaling=0.95).distance(x, y)
    assert found.item() == pytest.approx(truth, rel=5e-3)


@pytest.mark.usefixtures("float64")
def test_the_gradient_of_sinkhorn_is_the_displacement() -> None:
    """The sum over equal weights: each point is drawn to its partner in the sorted order."""
    x = torch.randn(20, 1, requires_grad=True)
    y = torch.randn(20, 1) + 3
    get_loss("sinkhorn", blur=1e-3, scaling=0.95).distance(x, y).backward()
    order = x.detach().argsort(0)[:, 0]
    displacement = (x.detach()[order] - y.sort(0).values) / 20
    torch.testing.assert_close(x.grad[order], displacement, rtol=0, atol=2e-3)


@pytest.mark.usefixtures("float64")
def test_the_energy_distance_is_that_of_scipy() -> None:
    x, y = torch.randn(30), torch.rand(20)
    truth = energy_distance(x, y) ** 2 / 2
    assert get_loss("energy").distance(x[:, None], y[:, None]).item() == pytest.approx(
        truth, abs=1e-4
    )


KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "energy": lambda r: -r,
    "gaussian_mmd": lambda r: np.exp(-(r**2) / (2 * 0.5**2)),
    "laplacian_mmd": lambda r: np.exp(-r / 0.5),
}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", KERNELS)
def test_kernel_distances_are_their_closed_forms(name: str) -> None:
    x, y, a, b = torch.randn(12, 3), torch.rand(7, 3), normalized(12), normalized(7)

    def mean(p: Tensor, q: Tensor, u: Tensor, v: Tensor) -> float:
        return float(u.numpy() @ KERNELS[name](cdist(p, q)) @ v.numpy())

    truth = (mean(x, x, a, a) + mean(y, y, b, b)) / 2 - mean(x, y, a, b)
    found = get_loss(name, **WIDE.get(name, {})).distance(x, y, b, a)
    # The library takes distances from 1e-4 on.
    assert found.item() == pytest.approx(truth, abs=1e-4)


def test_reach_leaves_an_outlier_where_it_is() -> None:
    x = torch.tensor([[0.0, 0.0], [20.0, 0.0]], requires_grad=True)
    y = torch.tensor([[0.3, 0.0]])
    loss_fn = get_loss("sinkhorn", reach=0.5)
    loss_fn.distance(x, y, torch.ones(1), torch.ones(2)).backward()
    assert x.grad[0, 0] < -0.1
    assert x.grad[1].abs().max() < 1e-6


@pytest.mark.parametrize("shape", [(), (2,)])
@pytest.mark.parametrize("name", NAMES)
def test_the_contract_is_kept(name: str, shape: tuple[int, ...]) -> None:
    batch = {
        "inputs": torch.randn(*shape, 10, 2),
        "points": torch.randn(*shape, 7, 2),
        "weights": normalized(*shape, 7),
    }
    loss_fn = get_loss(name, **WIDE.get(name, {}))
    without_weights = batch["inputs"], batch["points"]
    check_loss(loss_fn, batch if shape else without_weights, FFNN([2, 6, 2]))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_name_trains(name: str, tmp_path: Path) -> None:
    """Also over checkpoints: stopped and resumed, the end is the same to the bit."""
    torch.manual_seed(1)
    noise, target = torch.randn(60, 2), torch.rand(45, 2) * torch.tensor([1.0, 0.2]) + 0.5
    start = FFNN([2, 16, 2]).state_dict()

    def run(folder: str, epochs: int, resume: bool = False) -> tuple[nn.Module, list[Any]]:
        model = FFNN([2, 16, 2])
        model.load_state_dict(start)
        config = TrainConfig(
            max_iter=epochs,
            verbose=False,
            root_folder=tmp_path / folder,
            checkpoint_every=1,
            val_every=1,
        )
        loss_fn = {"name": name, **WIDE.get(name, {})}
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        trainer = Trainer(model, optimizer, config, loss_fn=loss_fn)
        inputs = to_dataloader(noise, batch_size=30, shuffle=True)
        points = to_dataloader(target, batch_size=15, shuffle=True)
        torch.manual_seed(2)
        loader = DictDataLoader({"inputs": inputs, "points": points})
        trainer.fit(loader, [(noise, target)], resume=resume)
        return model, trainer.history

    whole, history = run("whole", 16)
    values = [row["val_loss"] for row in history]
    assert 0 < values[-1] < values[0] / 4
    run("parts", 8)
    parts, _ = run("parts", 16, resume=True)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_stay_off_where_they_were_off(name: str) -> None:
    cloud = torch.randn(5, 2, requires_grad=True)
    with torch.no_grad():
        assert not get_loss(name).distance(cloud, torch.randn(4, 2)).requires_grad
        assert not torch.is_grad_enabled()
    with torch.inference_mode():
        assert get_loss(name).distance(torch.randn(5, 2), torch.randn(4, 2)).isfinite()


@pytest.mark.parametrize("name", NAMES)
def test_mixed_precision_costs_no_precision(name: str) -> None:
    x, y = 10 + torch.rand(40, 2), 10 + torch.rand(50, 2)
    loss_fn = get_loss(name, **WIDE.get(name, {}))
    x = x.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = loss_fn((x, y), nn.Identity())
    torch.testing.assert_close(found, loss_fn.distance(x.float(), y))
    half = loss_fn.distance(x, y.half())
    torch.testing.assert_close(half, loss_fn.distance(x.float(), y.half().float()))


def test_points_that_fall_together_are_no_error() -> None:
    loss_fn = get_loss("sinkhorn")
    point = torch.ones(1, 3, requires_grad=True)
    loss = loss_fn.distance(point.expand(4, 3), torch.ones(5, 3))
    loss.backward()
    assert loss == 0
    assert not point.grad.any()


def test_nan_is_left_to_the_trainer() -> None:
    for value in (float("nan"), float("inf")):
        found = get_loss("sinkhorn").distance(torch.full((3, 2), value), torch.ones(4, 2))
        assert found.isnan()


def test_clouds_may_be_views() -> None:
    cloud, points = torch.randn(2, 3, 8), torch.randn(2, 3, 6)
    weights = normalized(6, 2)
    weights = weights / weights.sum(0)
    for name in NAMES:
        loss_fn = get_loss(name)
        found = loss_fn.distance(cloud.mT, points.mT, weights.T)
        whole = loss_fn.distance(cloud.mT.contiguous(), points.mT.contiguous(), weights.T.clone())
        torch.testing.assert_close(found, whole)
