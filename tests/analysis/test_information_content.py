"""Against landscapes whose gradients are known, and an entropy counted by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from math import inf, log, sqrt
from statistics import NormalDist
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from perceptrain import InformationContent, Trainer, get_parameters
from perceptrain.errors import ConfigError, NonFiniteLossError
from perceptrain_core.analysis.entropy import smallest_share

EPSILONS = torch.logspace(-4, 2, 300)
PHI = NormalDist().cdf


class Point(nn.Module):
    """A model that is nothing but its parameters."""

    def __init__(self, theta: Tensor) -> None:
        super().__init__()
        self.theta = nn.Parameter(theta.double())

    def forward(self, x: Tensor) -> Tensor:
        return self.theta * x


def linear(batch: Tensor, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
    return model(batch).sum(), {}


def quadratic(batch: Tensor, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
    return 0.5 * model(batch).square().sum(), {}


def cosines(batch: Tensor, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
    return model(batch).cos().sum(), {}


def start(seed: int, parameters: int = 50) -> Tensor:
    return torch.randn(parameters, generator=torch.Generator().manual_seed(seed)).double() * 3


def entropy(deltas: Tensor, epsilon: float) -> float:
    symbols = ["+" if d > epsilon else "-" if d < -epsilon else "o" for d in deltas.tolist()]
    counts = Counter(pairwise(symbols))
    total = sum(counts.values())
    shares = [count / total for (a, b), count in counts.items() if a != b]
    return -sum(p * log(p) / log(6) for p in shares)


@pytest.mark.parametrize("seed", range(3))
def test_walk_and_slopes_are_those_of_the_definition(seed: int) -> None:
    seen: list[Tensor] = []

    def loss_fn(batch: Tensor, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        loss, metrics = cosines(batch, model)
        loss.item()  # no vmap: each point is seen by itself
        seen.append(get_parameters(model))
        return loss, metrics

    theta = start(seed, 11)
    torch.manual_seed(seed)
    found = InformationContent(Point(theta), loss_fn, torch.ones(11), EPSILONS, 15)
    assert len(seen) == 15 * 11 + 1
    assert torch.equal(seen[0], theta)
    steps = torch.stack(seen).diff(dim=0)
    torch.testing.assert_close(steps.norm(dim=1), torch.full((165,), 0.1, dtype=torch.float64))
    slopes = torch.stack(seen).cos().sum(1).diff() / steps.norm(dim=1)
    torch.testing.assert_close(found.deltas, slopes)
    # Directions that are uniform on the sphere: no coordinate and no sign is special.
    assert steps.mean(0).abs().max() < 0.1 / sqrt(11) * 4 / sqrt(165)


@given(seed=st.integers(0, 99), parameters=st.integers(1, 9), multiple=st.integers(2, 12))
def test_entropy_equals_counting(seed: int, parameters: int, multiple: int) -> None:
    torch.manual_seed(seed)
    model, epsilons = Point(start(seed, parameters)), [1.0, 0.3, 0.01, 3.0]
    found = InformationContent(model, cosines, torch.ones(parameters), epsilons, multiple)
    assert found.epsilons.tolist() == sorted(epsilons)
    expected = [entropy(found.deltas, epsilon) for epsilon in sorted(epsilons)]
    assert found.values.tolist() == pytest.approx(expected, abs=1e-12)
    assert found.max_IC()[0] == pytest.approx(max(expected), abs=1e-12)
    assert all(-1e-12 <= value <= 1 for value in found.values.tolist())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [0.1, 1.0, 7.0])
def test_linear_landscape(seed: int, size: float) -> None:
    """The gradient is the same everywhere, and the entropy is known for independent steps."""
    slope = torch.full((50,), size / sqrt(50))
    torch.manual_seed(seed)
    found = InformationContent(Point(start(seed)), linear, slope, EPSILONS, 100)
    lower, upper = found.get_grad_norm_bounds_max_IC()
    assert lower < size < upper
    sensitive = found.get_grad_norm_bounds_sensitivity_IC(0.1)
    assert size < sensitive

    def expected(epsilon: float) -> float:
        p = 1 - PHI(epsilon * sqrt(50) / size)
        shares = [p * p] * 2 + [p * (1 - 2 * p)] * 4
        return -sum(s * log(s) / log(6) for s in shares if s > 0)

    at = [expected(epsilon) for epsilon in found.epsilons.tolist()]
    assert found.values.tolist() == pytest.approx(at, abs=0.03)
    assert found.max_IC()[0] == pytest.approx(max(at), abs=0.03)
    # What the bounds of the definition give for the exact entropy.
    q = smallest_share(max(at))
    epsilon = found.epsilons[torch.tensor(at).argmax()].item() * sqrt(50)
    quantile = NormalDist().inv_cdf
    assert epsilon / quantile(1 - 2 * q) < size < epsilon / quantile((1 + 2 * q) / 2)
    assert lower == pytest.approx(epsilon / quantile(1 - 2 * q), rel=0.2)
    assert upper == pytest.approx(epsilon / quantile((1 + 2 * q) / 2), rel=0.2)
    first = next(e for e, h in zip(found.epsilons.tolist(), at, strict=True) if h <= 0.1)
    assert sensitive == pytest.approx(first * sqrt(50) / quantile(0.85), rel=0.1)


@pytest.mark.parametrize("seed", range(4))
def test_quadratic_landscape_near_a_point(seed: int) -> None:
    theta, curvature = start(seed), 0.5
    torch.manual_seed(seed)
    found = InformationContent(
        Point(theta), quadratic, torch.full((50,), sqrt(curvature)), EPSILONS, step_size=1e-3
    )
    norm = float(curvature * theta.norm())
    lower, upper = found.get_grad_norm_bounds_max_IC()
    assert lower < norm < upper
    assert norm < found.get_grad_norm_bounds_sensitivity_IC(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_sum_of_cosines(seed: int) -> None:
    """The norm of the gradient, |sin theta|, is measured along the very walk."""
    seen: list[Tensor] = []

    def loss_fn(batch: Tensor, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        loss, metrics = cosines(batch, model)
        loss.item()
        seen.append(get_parameters(model))
        return loss, metrics

    torch.manual_seed(seed)
    found = InformationContent(Point(start(seed)), loss_fn, torch.ones(50), EPSILONS)
    norm = float(torch.stack(seen).sin().norm(dim=1).mean())
    lower, upper = found.get_grad_norm_bounds_max_IC()
    assert lower < norm < upper
    assert norm < found.get_grad_norm_bounds_sensitivity_IC(0.05)


@given(q=st.floats(1e-6, 1 / 6 - 1e-6))
def test_smallest_share_solves_its_equation(q: float) -> None:
    def h(p: float) -> float:
        return -p * log(p) / log(6)

    assert smallest_share(4 * h(q) + 2 * h(0.5 - 2 * q)) == pytest.approx(q, abs=1e-7)


@pytest.mark.parametrize("content", [0.0, 0.2, log(2) / log(6)])
def test_smallest_share_of_little_information_is_none(content: float) -> None:
    assert smallest_share(content) == pytest.approx(0, abs=1e-12)


def test_thresholds_that_tell_nothing_bound_nothing() -> None:
    found = InformationContent(Point(start(0)), linear, torch.ones(50), [1e-9])
    flat = InformationContent(Point(start(0)), linear, torch.zeros(50), [1.0])
    assert flat.get_grad_norm_bounds_max_IC() == (0.0, inf)
    with pytest.warns(UserWarning, match=r"above eta=0.01 at every.*Try thresholds up to"):
        assert found.get_grad_norm_bounds_sensitivity_IC(0.01) == inf


@pytest.mark.parametrize("scale", [0.25, 8.0])
def test_bounds_scale_with_the_loss(scale: float) -> None:
    def bounds(factor: float) -> list[float]:
        def loss_fn(batch: Tensor, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
            return factor * cosines(batch, model)[0], {}

        torch.manual_seed(2)
        found = InformationContent(
            Point(start(5)), loss_fn, torch.ones(50), EPSILONS.double() * factor
        )
        sensitive = found.get_grad_norm_bounds_sensitivity_IC(0.1)
        return [*found.get_grad_norm_bounds_max_IC(), sensitive]

    assert bounds(scale) == pytest.approx([scale * bound for bound in bounds(1.0)])


def test_one_seed_one_result() -> None:
    def deltas() -> Tensor:
        torch.manual_seed(8)
        return InformationContent(Point(start(1)), cosines, torch.ones(50), EPSILONS).deltas

    assert torch.equal(deltas(), deltas())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilons": []}, "expected a list of positive numbers"),
        ({"epsilons": [0.1, -1.0]}, "expected a list of positive numbers"),
        ({"epsilons": "a"}, "expected a list of positive numbers"),
        ({"epsilons": 0.1}, "expected a list of positive numbers"),
        ({"variation_multiple": 0}, "variation_multiple=0: expected a whole number"),
        ({"variation_multiple": 2.5}, "variation_multiple=2.5"),
        ({"step_size": 0.0}, "step_size=0.0: expected a number above 0"),
    ],
)
def test_what_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        InformationContent(Point(start(0)), linear, torch.ones(50), **{"epsilons": [1.0]} | options)


@pytest.mark.parametrize("eta", [0.0, -1.0, 0.2, float("nan")])
def test_eta_that_cannot_be(eta: float) -> None:
    found = InformationContent(Point(start(0)), linear, torch.ones(50), [1.0])
    with pytest.raises(ConfigError, match=r"expected a number above 0 and at most 1/6"):
        found.sensitivity_IC(eta)


def test_loss_that_is_not_finite() -> None:
    def loss_fn(batch: Tensor, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        return model(batch).log().sum(), {}

    with pytest.raises(NonFiniteLossError, match="of the 41 points of the walk"):
        InformationContent(Point(torch.tensor([1.0, -1.0])), loss_fn, torch.ones(2), [1.0])


@pytest.mark.parametrize("given_loader", [True, False])
def test_trainer_takes_the_first_batch_of_its_data(
    make_trainer: Callable[..., Trainer], rows: Any, given_loader: bool
) -> None:
    def seeded(work: Callable[[], Any]) -> Any:
        torch.manual_seed(4)
        return work()

    trainer = make_trainer(data=None if given_loader else rows)
    before = get_parameters(trainer.model)
    options = {"eta": 0.1, "epsilons": EPSILONS, "variation_multiple": 5}
    loader = rows if given_loader else None
    bounds = seeded(lambda: trainer.get_ic_grad_bounds(**options, dataloader=loader))
    batch = tuple(part[:5] for part in rows)
    found = seeded(lambda: InformationContent(trainer.model, trainer.loss_fn, batch, EPSILONS, 5))
    lower, upper = found.get_grad_norm_bounds_max_IC()
    assert bounds == (lower, upper, found.get_grad_norm_bounds_sensitivity_IC(0.1))
    assert 0 < lower < upper
    assert torch.equal(get_parameters(trainer.model), before)


def test_trainer_without_data(make_trainer: Callable[..., Trainer]) -> None:
    def loss_fn(batch: None, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        assert batch is None
        return model(torch.ones(3, 2)).square().mean(), {}

    bounds = make_trainer(loss_fn, data=None).get_ic_grad_bounds(0.1, EPSILONS)
    assert len(bounds) == 3
