"""The losses of members and quantiles, against sums by hand, NumPy and finite differences."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import scoringrules
import torch
from torch import Tensor, nn

from perceptrain import TrainConfig, Trainer, get_loss
from perceptrain_forecasting.families.by_name import FAMILIES

N, M, D = 4, 6, 3


def value(name: str, outputs: Any, labels: Tensor, **options: Any) -> Tensor:
    """The loss of outputs, which are the inputs of a model that returns them."""
    return get_loss(name, **options)((outputs, labels), nn.Identity())[0]


def ensemble() -> tuple[Tensor, Tensor]:
    return torch.randn(N, M, D, dtype=torch.float64), torch.randn(N, D, dtype=torch.float64)


def crps_by_hand(members: list[float], label: float, fair: bool) -> float:
    errors = sum(abs(x - label) for x in members) / M
    pairs = sum(abs(x - z) for x, z in product(members, members))
    return errors - pairs / (2 * (M * (M - 1) if fair else M * M))


@pytest.mark.parametrize("estimator", ["fair", "nrg"])
def test_crps_of_members_by_hand(estimator: str) -> None:
    members, labels = ensemble()
    each = [
        crps_by_hand(members[i, :, j].tolist(), labels[i, j].item(), estimator == "fair")
        for i, j in product(range(N), range(D))
    ]
    found = value("crps_ensemble", members, labels, estimator=estimator)
    assert found.item() == pytest.approx(np.mean(each), rel=1e-12)


@pytest.mark.parametrize("estimator", ["fair", "nrg"])
def test_energy_score_by_hand(estimator: str) -> None:
    members, labels = ensemble()
    total = 0.0
    for rows, label in zip(members.numpy(), labels.numpy(), strict=True):
        pairs = sum(np.linalg.norm(x - z) for x, z in product(rows, rows))
        number = M * (M - 1) if estimator == "fair" else M * M
        total += np.mean([np.linalg.norm(x - label) for x in rows]) - pairs / (2 * number)
    found = value("energy_score", members, labels, estimator=estimator)
    assert found.item() == pytest.approx(total / N, rel=1e-12)


@pytest.mark.parametrize("power", [0.5, 1, 2.0])
def test_variogram_score_as_in_scoringrules(power: float) -> None:
    members, labels = ensemble()
    expected = scoringrules.vs_ensemble(labels.numpy(), members.numpy(), p=power, backend="numpy")
    found = value("variogram_score", members, labels, power=power)
    assert found.item() == pytest.approx(expected.mean(), rel=1e-12)


def test_score_of_dawid_and_sebastiani_as_in_scoringrules() -> None:
    members, labels = ensemble()
    expected = scoringrules.dssmv_ensemble(labels.numpy(), members.numpy(), backend="numpy")
    assert value("dawid_sebastiani", members, labels).item() == pytest.approx(expected.mean())
    one, first = members[..., 0], labels[:, 0]
    expected = scoringrules.dssuv_ensemble(first.numpy(), one.numpy(), backend="numpy")
    assert value("dawid_sebastiani", one, first).item() == pytest.approx(expected.mean())


def test_many_small_columns_have_a_determinant() -> None:
    """The determinant of 30 variances of 0.0001 is 0 in float32."""
    members, labels = 0.01 * torch.randn(2, 50, 30), 0.01 * torch.randn(2, 30)
    exact = value("dawid_sebastiani", members.double(), labels.double())
    assert value("dawid_sebastiani", members, labels).item() == pytest.approx(
        exact.item(), rel=1e-5
    )


def test_interval_score_by_hand() -> None:
    """Labels below, inside and above; the last interval is crossed."""
    intervals = torch.tensor([[0.0, 2.0], [0.0, 2.0], [0.0, 2.0], [2.0, 0.0]])
    labels = torch.tensor([-1.0, 1.5, 5.0, 1.0])
    expected = np.mean([2 + 1 * 2 / 0.2, 2, 2 + 3 * 2 / 0.2, -2 + (1 + 1) * 2 / 0.2])
    found = value("interval_score", intervals, labels, level=0.8)
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_weighted_interval_score_is_a_sum_of_pinball_losses() -> None:
    """Bracher et al. (2021), section 2.2; ``quantile`` is a loss of the core."""
    quantiles = torch.randn(20, 7, dtype=torch.float64)
    labels = torch.randn(20, dtype=torch.float64)
    levels = [0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975]
    pinball = value("quantile", quantiles, labels, quantiles=levels)
    found = value("weighted_interval_score", quantiles, labels)
    assert found.item() == pytest.approx(2 * pinball.item(), rel=1e-6)


def test_many_quantiles_come_near_to_the_crps() -> None:
    tails = (np.arange(200) + 0.5) / 401
    levels = np.concatenate([tails, [0.5], 1 - tails[::-1]])
    quantiles = np.asarray(torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(levels)))
    labels = torch.linspace(-2, 2, 9, dtype=torch.float64)
    outputs = torch.as_tensor(quantiles).expand(9, -1)
    intervals = [float(1 - 2 * tail) for tail in reversed(tails)]
    found = value("weighted_interval_score", outputs, labels, levels=intervals)
    exact = FAMILIES["normal"].crps(labels, torch.zeros(()).double(), torch.ones(()).double())
    assert found.item() == pytest.approx(exact.mean().item(), rel=0.01)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("crps_ensemble", {"estimator": "fair"}),
        ("crps_ensemble", {"estimator": "nrg"}),
        ("energy_score", {}),
        ("variogram_score", {}),
        ("dawid_sebastiani", {}),
    ],
)
def test_gradients_are_finite_differences(name: str, options: dict[str, Any]) -> None:
    members, labels = ensemble()
    members.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: value(name, x, labels, **options), members)


@pytest.mark.parametrize("name", ["interval_score", "weighted_interval_score"])
def test_gradients_of_quantiles_are_finite_differences(name: str) -> None:
    size: int = get_loss(name).output_size(1)  # type: ignore[union-attr, operator]
    quantiles = torch.randn(5, size, dtype=torch.float64, requires_grad=True)
    labels = torch.randn(5, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: value(name, x, labels), quantiles)


def test_equal_members_have_finite_gradients() -> None:
    """The derivative of a root is infinite at 0, and a distance has none there."""
    labels = torch.zeros(2, 3)
    for name in ("crps_ensemble", "energy_score", "variogram_score"):
        members = torch.zeros(2, 4, 3, requires_grad=True)
        loss = value(name, members, labels)
        assert torch.autograd.grad(loss, members)[0].isfinite().all()


def test_flat_outputs_are_members_one_after_another() -> None:
    members, labels = ensemble()
    found = value("energy_score", members.reshape(N, M * D), labels)
    assert found == value("energy_score", members, labels)
    quantiles = torch.randn(N, D, 2, dtype=torch.float64)
    flat = value("interval_score", quantiles.reshape(N, 2 * D), labels)
    assert flat == value("interval_score", quantiles, labels)


def test_one_tensor_of_parameters_is_a_tuple_of_them() -> None:
    raw, labels = torch.randn(N, 2 * D), torch.randn(N, D)
    scale = nn.functional.softplus(raw[:, D:]) + 1e-6
    given = value("crps", (raw[:, :D], scale), labels)
    assert value("crps", raw, labels) == given
    raw = torch.randn(N, 3 * D * 2)
    shares, locations, scales = (part.reshape(N, D, 2) for part in raw.chunk(3, dim=1))
    mixed = shares.softmax(-1), locations, nn.functional.softplus(scales) + 1e-6
    options = {"distribution": "normal_mixture"}
    for name in ("crps", "log_score"):
        found = value(name, raw, labels, **options)
        torch.testing.assert_close(found, value(name, mixed, labels, **options))


def test_a_share_that_float32_rounds_to_zero_has_a_gradient() -> None:
    labels = torch.tensor([3.0])
    gradients = []
    for dtype in (torch.float32, torch.float64):
        raw = torch.tensor([[200, 0, -9, 3, -6, -5]], dtype=dtype, requires_grad=True)
        loss = value("log_score", raw, labels.to(dtype), distribution="normal_mixture")
        gradients.append(torch.autograd.grad(loss, raw)[0].double())
    assert gradients[1][0, 1] < -0.9  # the share of the second component should grow
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)


def test_half_precision_is_scored_in_float32() -> None:
    members, labels = torch.randn(N, M).bfloat16(), torch.randn(N)
    found = value("crps_ensemble", members, labels)
    assert found.dtype == torch.float32
    assert found == value("crps_ensemble", members.float(), labels)


@pytest.mark.parametrize("name", ["crps_ensemble", "dawid_sebastiani", "crps", "interval_score"])
def test_a_loss_does_not_depend_on_the_batches(name: str) -> None:
    loss_fn: Any = get_loss(name)
    model = nn.Linear(2, loss_fn.output_size(2)).double()
    data = torch.randn(10, 2).double(), torch.randn(10, 2).double()
    found = [
        Trainer(
            model,
            None,
            TrainConfig(batch_size=size, verbose=False, tracking_tool="none"),
            loss_fn,
            val_dataloader=data,
        ).validate()["val_loss"]
        for size in (10, 3)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-12)


def test_a_scale_is_learned() -> None:
    """Constant inputs: the best forecast is the distribution of the labels."""
    labels = 3 + 2 * torch.randn(500)
    config = TrainConfig(max_iter=80, batch_size=500, verbose=False, tracking_tool="none")
    model = nn.Linear(1, 2)
    Trainer(model, {"name": "adam", "lr": 0.2}, config, "crps").fit((torch.ones(500, 1), labels))
    location, raw = model(torch.ones(1, 1)).squeeze(0).tolist()
    assert location == pytest.approx(labels.mean().item(), abs=0.1)
    assert np.logaddexp(0, raw) == pytest.approx(labels.std().item(), rel=0.05)
