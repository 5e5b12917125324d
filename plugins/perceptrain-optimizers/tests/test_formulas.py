"""Steps of single optimizers against their formulas, written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import get_optimizer
from perceptrain.errors import ConfigError, OptionError

START = [1.0, -2.0, 3.0]


def quadratic(p: Tensor) -> Tensor:
    return (torch.tensor([1.0, 2.0, 3.0], dtype=p.dtype) * p.square()).sum() / 2


def gradient(p: Tensor) -> Tensor:
    return torch.tensor([1.0, 2.0, 3.0], dtype=p.dtype) * p


def vector() -> Tensor:
    return torch.tensor(START, dtype=torch.float64)


def trained(name: str, steps: int, **options: Any) -> Tensor:
    p = nn.Parameter(vector())
    optimizer = get_optimizer(name, [p], **options)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = quadratic(p)
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return p.detach()


@pytest.mark.parametrize("cautious", [False, True])
def test_lion(cautious: bool) -> None:
    p, m = vector(), torch.zeros(3, dtype=torch.float64)
    for _ in range(5):
        g = gradient(p)
        update = (0.9 * m + 0.1 * g).sign()
        if cautious:  # arXiv 2411.16085: only where the update has the sign of the gradient
            mask = (update * g > 0).double()
            update = update * mask * 3 / (mask.sum() + 1)
        p, m = p - 0.7 * update, 0.99 * m + 0.01 * g
    found = trained("lion", 5, lr=0.7, betas=(0.9, 0.99), cautious=cautious)
    torch.testing.assert_close(found, p)


def test_adan() -> None:
    p, (m, v, n) = vector(), torch.zeros(3, 3, dtype=torch.float64)
    b1, b2, b3, previous = 0.98, 0.92, 0.99, None
    for step in range(1, 5):
        g = gradient(p)
        difference = torch.zeros_like(g) if previous is None else g - previous
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * difference
        n = b3 * n + (1 - b3) * (g + b2 * difference).square()
        root = (n / (1 - b3**step)).sqrt() + 1e-8
        p = p - 0.1 * (m / (1 - b1**step) + b2 * v / (1 - b2**step)) / root
        previous = g
    torch.testing.assert_close(trained("adan", 4, lr=0.1), p, rtol=1e-6, atol=1e-6)


def test_soap_is_adam_on_a_vector_after_a_first_step_that_only_looks() -> None:
    p, m, v = vector(), *torch.zeros(2, 3, dtype=torch.float64)
    assert torch.equal(trained("soap", 1, lr=0.1), p)
    for step in range(1, 5):
        g = gradient(p)
        m, v = 0.95 * m + 0.05 * g, 0.95 * v + 0.05 * g.square()
        rate = 0.1 * (1 - 0.95**step) ** 0.5 / (1 - 0.95**step)
        p = p - rate * m / (v.sqrt() + 1e-8)
    torch.testing.assert_close(trained("soap", 5, lr=0.1), p)


def test_schedule_free_sgd() -> None:
    p = nn.Parameter(vector())
    optimizer = get_optimizer("schedule_free_sgd", [p])
    x = z = vector()
    for step in range(1, 5):
        y = 0.9 * x + 0.1 * z
        torch.testing.assert_close(p.detach(), y)
        optimizer.zero_grad()
        quadratic(p).backward()
        optimizer.step()
        z = z - 0.1 * gradient(y)
        x = x + (z - x) / step
    optimizer.eval()
    torch.testing.assert_close(p.detach(), x)


def test_muon_makes_the_steps_of_matrices_orthogonal_and_adamw_trains_vectors() -> None:
    matrix, bias = nn.Parameter(torch.randn(6, 4)), nn.Parameter(torch.zeros(6))
    before = matrix.detach().clone()
    optimizer = get_optimizer("muon_adamw", [matrix, bias], lr=0.1, adamw_lr=0.01)
    (matrix @ torch.randn(4, 8) + bias[:, None]).square().sum().backward()
    optimizer.step()
    values = torch.linalg.svdvals((before - matrix.detach()) / 0.1 / 1.5**0.5)
    assert all(0.6 < value < 1.3 for value in values)  # Newton-Schulz only comes near 1
    torch.testing.assert_close(bias.detach().abs(), torch.full((6,), 0.01))


def test_groups_of_muon_are_divided_and_keep_their_options() -> None:
    body, head = nn.Linear(3, 3), nn.Linear(3, 2)
    optimizer = get_optimizer(
        "muon_adamw",
        [
            {"params": body.parameters(), "lr": 0.5, "weight_decay": 0.1},
            {"params": head.parameters(), "use_muon": False, "adamw_lr": 0.25},
        ],
    )
    groups = [(g["use_muon"], g["lr"], g["weight_decay"]) for g in optimizer.param_groups]
    assert groups == [(True, 0.5, 0.1), (False, 3e-4, 0), (False, 0.25, 0)]


@pytest.mark.parametrize("adaptive", [False, True])
def test_sam(adaptive: bool) -> None:
    p = vector()
    for _ in range(3):
        scale = p.abs() if adaptive else torch.ones_like(p)
        g = gradient(p)
        worst = p + 0.5 * scale * (scale * g) / (scale * g).norm()
        p = p - 0.1 * gradient(worst)
    base = {"name": "sgd", "lr": 0.1}
    torch.testing.assert_close(trained("sam", 3, base=base, rho=0.5, adaptive=adaptive), p)


def test_lookahead() -> None:
    p = slow = vector()
    for step in range(1, 7):
        p = p - 0.1 * gradient(p)
        if step % 3 == 0:
            p = slow = slow + 0.25 * (p - slow)
    base = {"name": "sgd", "lr": 0.1}
    torch.testing.assert_close(trained("lookahead", 6, base=base, k=3, alpha=0.25), p)


def test_the_first_steps_of_ranger_are_downhill() -> None:
    losses = [quadratic(trained("ranger", steps, lr=1e-2)) for steps in range(6)]
    assert losses == sorted(losses, reverse=True)
    assert losses[1] < losses[0]


@pytest.mark.parametrize("name", ["sam", "lookahead"])
def test_what_can_be_inside_another_optimizer(name: str) -> None:
    p = [nn.Parameter(vector())]
    free = get_optimizer(name, p, base="schedule_free_sgd")
    free.eval()
    assert not free.param_groups[0]["train_mode"]
    with pytest.raises(ConfigError, match="LBFGS evaluates the loss itself"):
        get_optimizer(name, p, base="lbfgs")
    with pytest.raises(OptionError, match="does not accept the option 'rate'"):
        get_optimizer(name, p, base={"name": "sgd", "rate": 1})


def test_options_of_the_others_are_checked() -> None:
    p = [nn.Parameter(vector())]
    for name, options in [
        ("sam", {"rho": 0}),
        ("lookahead", {"k": 0}),
        ("lookahead", {"alpha": 2}),
    ]:
        with pytest.raises(ConfigError, match="expected a"):
            get_optimizer(name, p, **options)
