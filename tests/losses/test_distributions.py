"""kl_div, gaussian_nll, quantile: what they should measure."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from perceptrain_core.errors import ConfigError, DataError, ShapeError
from perceptrain_core.losses import gaussian_nll_loss, kl_div_loss, quantile_loss

IDENTITY = nn.Identity()


def test_the_divergence_of_two_coins():
    p, q = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.9, 0.1]])
    expected = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    loss, _ = kl_div_loss((q.log(), p), IDENTITY, reduction="batchmean")
    assert loss.item() == pytest.approx(expected)
    loss, _ = kl_div_loss((q.log(), p.log()), IDENTITY, log_target=True)
    assert loss.item() == pytest.approx(expected / 2)


def test_gaussian_nll_is_the_log_density():
    mean, log_variance, y = torch.randn(3, 5, 2, dtype=torch.float64)
    density = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = -density.log_prob(y).mean()
    outputs = torch.cat([mean, log_variance], dim=-1)
    loss, metrics = gaussian_nll_loss((outputs, y), IDENTITY, full=True)
    torch.testing.assert_close(loss, expected)
    assert metrics == {}
    pair = (mean, log_variance.exp())
    torch.testing.assert_close(gaussian_nll_loss((pair, y), IDENTITY, full=True)[0], loss)
    one = (mean, torch.ones(5, 1, dtype=torch.float64))
    expected = ((mean - y) ** 2).sum() / 2
    torch.testing.assert_close(gaussian_nll_loss((one, y), IDENTITY, reduction="sum")[0], expected)


@pytest.mark.parametrize(
    ("outputs", "error", "message"),
    [
        (torch.ones(5, 2), DataError, r"expected a tuple \(mean, variance\).*twice theirs"),
        ((torch.ones(5, 2),), DataError, "a tuple of 1 element"),
        ((torch.ones(5), torch.ones(5)), ShapeError, r"\(5,\) and the labels have shape \(5, 2\)"),
        ((torch.ones(5, 2), -torch.ones(5, 2)), ValueError, "negative"),
    ],
)
def test_no_mean_and_variance(outputs, error, message):
    with pytest.raises(error, match=message):
        gaussian_nll_loss((outputs, torch.ones(5, 2)), IDENTITY)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.floats(0.05, 0.95))
def test_the_quantile_minimizes_the_pinball_loss(seed, level):
    y = torch.from_numpy(np.random.default_rng(seed).normal(size=41))

    def loss(value):
        return quantile_loss((torch.full_like(y, value), y), IDENTITY, quantiles=level)[0].item()

    quantile = y.sort().values[math.ceil(level * 41) - 1].item()
    for other in (*y.tolist(), quantile - 0.1, quantile + 0.1):
        assert loss(quantile) <= loss(other) + 1e-12


def test_several_quantiles_are_the_mean_of_each():
    outputs, y = torch.randn(6, 3), torch.randn(6)
    levels = [0.1, 0.5, 0.9]
    each = [
        quantile_loss((outputs[:, i], y), IDENTITY, quantiles=level)[0]
        for i, level in enumerate(levels)
    ]
    expected = torch.stack(each).mean()
    for labels in (y, y.unsqueeze(-1)):
        loss, metrics = quantile_loss((outputs, labels), IDENTITY, quantiles=levels)
        torch.testing.assert_close(loss, expected)
        assert metrics == {}
    total, _ = quantile_loss((outputs, y), IDENTITY, quantiles=levels, reduction="sum")
    torch.testing.assert_close(total, expected * 18)
    median, _ = quantile_loss((outputs, outputs + 2), IDENTITY)
    torch.testing.assert_close(median, torch.tensor(1.0))


@pytest.mark.parametrize("quantiles", [0, 1, 1.5, [], [0.1, -1], float("nan")])
def test_no_quantile(quantiles):
    with pytest.raises(ConfigError, match="expected numbers between 0 and 1"):
        quantile_loss((torch.ones(3), torch.ones(3)), IDENTITY, quantiles=quantiles)


@pytest.mark.parametrize(("outputs", "labels"), [((4, 2), (4,)), ((4, 3), (3,)), ((4, 3), (4, 3))])
def test_quantiles_that_do_not_fit(outputs, labels):
    with pytest.raises(
        ShapeError, match=r"for 3 quantiles expected outputs of shape \(\.\.\., 3\)"
    ):
        quantile_loss(
            (torch.ones(outputs), torch.ones(labels)), IDENTITY, quantiles=[0.1, 0.5, 0.9]
        )
