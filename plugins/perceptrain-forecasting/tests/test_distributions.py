"""The scores of distributions, against SciPy, integrals and finite differences."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import scoringrules
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from torch import Tensor

from perceptrain_forecasting.families.by_name import FAMILIES

#: Parameters of each distribution, and labels in its middle and far outside.
CASES: dict[str, tuple[list[list[float]], list[float]]] = {
    "normal": ([[0.3], [1.2]], [-3.0, 0.2, 1.0, 9.0]),
    "laplace": ([[0.3], [1.2]], [-3.0, 0.2, 1.0, 9.0]),
    "logistic": ([[0.3], [1.2]], [-3.0, 0.2, 1.0, 40.0]),
    "student_t": ([[0.3], [1.2], [2.4]], [-3.0, 0.2, 1.0, 40.0]),
    "lognormal": ([[0.3], [0.8]], [0.05, 0.7, 1.5, 9.0]),
    "gamma": ([[0.7], [1.6]], [0.01, 0.4, 1.5, 9.0]),
    "normal_mixture": ([[0.2, 0.5, 0.3], [-1.0, 0.4, 2.0], [0.5, 1.1, 0.3]], [-2.0, 0.2, 1, 6]),
}
#: Degrees of freedom, and shapes.
MANY = {"student_t": [2.01, 3.0, 30.0, 5e3], "gamma": [0.01, 0.3, 3.0, 50.0, 2e3]}


def parts(name: str) -> tuple[Tensor, list[Tensor]]:
    parameters, labels = CASES[name]
    rows = torch.tensor(labels, dtype=torch.float64)
    mixture = FAMILIES[name].mixture
    each = [torch.tensor(values, dtype=torch.float64) for values in parameters]
    if mixture:
        each[0] = each[0].log()
    return rows, [part.expand(len(labels), -1 if mixture else 1).squeeze(-1) for part in each]


def reference(name: str) -> Any:
    """The distribution of SciPy, written down here by itself; a mixture as a list of weights."""
    p = CASES[name][0]
    if name == "normal_mixture":
        return [(share, stats.norm(m, s)) for share, m, s in zip(*p, strict=True)]
    (a,), (b,), *more = p
    return {
        "normal": lambda: stats.norm(a, b),
        "laplace": lambda: stats.laplace(a, b),
        "logistic": lambda: stats.logistic(a, b),
        "student_t": lambda: stats.t(more[0][0], a, b),
        "lognormal": lambda: stats.lognorm(b, scale=math.exp(a)),
        "gamma": lambda: stats.gamma(a, scale=1 / b),
    }[name]()


def cdf(name: str, x: np.ndarray) -> np.ndarray:
    found = reference(name)
    if isinstance(found, list):
        return sum(share * each.cdf(x) for share, each in found)
    return found.cdf(x)


def crps_by_integral(name: str, labels: np.ndarray) -> np.ndarray:
    """The definition: the integral of the squared difference of distribution functions."""
    low = 0.0 if FAMILIES[name].positive else -np.inf
    kinks = [0.3] if name == "laplace" else []
    total = np.zeros_like(labels)
    for start, end in itertools.pairwise([low, *kinks, np.inf]):
        cut = labels.clip(start, end)
        below = integrate.tanhsinh(lambda x: cdf(name, x) ** 2, start, cut)
        above = integrate.tanhsinh(lambda x: (1 - cdf(name, x)) ** 2, cut, end)
        total += below.integral + above.integral
    return total


@pytest.mark.parametrize("name", CASES)
def test_crps_is_the_integral_that_defines_it(name: str) -> None:
    labels, parameters = parts(name)
    found = FAMILIES[name].crps(labels, *parameters)
    expected = crps_by_integral(name, labels.numpy())
    # scoringrules has roots of 2 and pi in float32.
    np.testing.assert_allclose(found.numpy(), expected, rtol=5e-7)


@pytest.mark.parametrize("name", CASES)
def test_log_score_is_that_of_scipy(name: str) -> None:
    labels, parameters = parts(name)
    found = FAMILIES[name].log_density(labels, *parameters)
    scipy_one = reference(name)
    if isinstance(scipy_one, list):
        expected = np.log(sum(share * each.pdf(labels.numpy()) for share, each in scipy_one))
    else:
        expected = scipy_one.logpdf(labels.numpy())
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("score", ["crps", "log_density"])
@pytest.mark.parametrize("name", CASES)
def test_gradients_are_finite_differences(name: str, score: str) -> None:
    labels, parameters = parts(name)
    function = getattr(FAMILIES[name], score)
    arguments = [part.clone().requires_grad_() for part in (labels, *parameters)]
    assert torch.autograd.gradcheck(function, arguments, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("name", MANY)
def test_shapes_of_every_size(name: str) -> None:
    """Against the NumPy backend of scoringrules, which has SciPy's functions."""
    values = MANY[name]
    shape = torch.tensor(values, dtype=torch.float64)
    others = torch.full_like(shape, 1.3)
    if name == "gamma":
        for label in (0.5 * shape / 1.3, shape / 1.3, 2 * shape / 1.3):
            found = FAMILIES[name].crps(label, shape, others)
            expected = scoringrules.crps_gamma(
                label.numpy(), shape.numpy(), rate=others.numpy(), backend="numpy"
            )
            np.testing.assert_allclose(found.numpy(), expected, rtol=1e-8)
        return
    for label in (-300.0, -2.0, 0.1, 1.0, 30.0):
        labels = torch.full_like(shape, label)
        found = FAMILIES[name].crps(labels, torch.zeros_like(shape), others, shape)
        expected = scoringrules.crps_t(
            labels.numpy(), shape.numpy(), 0.0, others.numpy(), backend="numpy"
        )
        np.testing.assert_allclose(found.numpy(), expected, rtol=2e-7)


@pytest.mark.parametrize("size", [0.02, 0.5, 4.0, 300.0])
def test_the_gradient_of_a_gamma_shape(size: float) -> None:
    """Against SciPy at nearby shapes, by Richardson extrapolation."""
    label, rate = size / 1.3 * 1.1, 1.3
    shape = torch.tensor([size], dtype=torch.float64, requires_grad=True)
    fixed = [torch.tensor([value], dtype=torch.float64) for value in (label, rate)]
    loss = FAMILIES["gamma"].crps(fixed[0], shape, fixed[1])
    (found,) = torch.autograd.grad(loss, shape)

    def crps(a: float) -> float:
        return float(scoringrules.crps_gamma(label, a, rate=rate, backend="numpy"))

    def quotient(h: float) -> float:
        return (crps(size + h) - crps(size - h)) / (2 * h)

    h = 2e-3 * size
    assert found.item() == pytest.approx((4 * quotient(h / 2) - quotient(h)) / 3, rel=1e-6)


@given(
    name=st.sampled_from([name for name in CASES if name != "normal_mixture"]),
    shift=st.floats(-50, 50),
    scale=st.floats(0.01, 100),
)
def test_crps_has_the_units_of_the_labels(name: str, shift: float, scale: float) -> None:
    labels, parameters = parts(name)
    family = FAMILIES[name]
    crps = family.crps(labels, *parameters)
    assert (crps > 0).all()
    if not family.located:
        moved = {
            "lognormal": [parameters[0] + math.log(scale), parameters[1]],
            "gamma": [parameters[0], parameters[1] / scale],
        }[name]
        found = family.crps(labels * scale, *moved)
    else:
        location, width, *others = parameters
        found = family.crps(
            labels * scale + shift, location * scale + shift, width * scale, *others
        )
    torch.testing.assert_close(found, crps * scale, rtol=1e-5, atol=1e-6 * scale)


@pytest.mark.parametrize("name", ["normal", "laplace", "logistic", "student_t", "normal_mixture"])
def test_labels_far_away_have_finite_gradients_in_float32(name: str) -> None:
    """In float32 a density is 0, and an exponential infinite, at a hundred scales."""
    _, parameters = parts(name)
    far = torch.tensor([-200.0, -50.0, 50.0, 200.0])
    for score in ("crps", "log_density"):
        given = [part.float().clone().requires_grad_() for part in parameters]
        found = getattr(FAMILIES[name], score)(far, *given)
        gradients = torch.autograd.grad(found.sum(), given)
        assert found.isfinite().all()
        assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("name", CASES)
def test_the_distribution_itself_has_the_least_expected_crps(name: str) -> None:
    """Propriety: the mean score over its own quantiles has no descent direction."""
    family = FAMILIES[name]
    _, parameters = parts(name)
    levels = (np.arange(4000) + 0.5) / 4000
    frozen = family.frozen(*(part[:1].numpy() for part in parameters))
    drawn = torch.as_tensor(frozen.ppf(levels))
    given = [part[:1].clone().requires_grad_() for part in parameters]
    wide = [part.expand(4000, *part.shape[1:]) for part in given]
    gradients = torch.autograd.grad(family.crps(drawn, *wide).mean(), given)
    found = torch.cat([gradient.flatten() for gradient in gradients])
    if family.mixture:  # shares add up to 1, so only their differences matter
        found[:3] /= parameters[0][0].exp()
        found[:3] -= found[:3].mean()
    assert found.abs().max() < 5e-3
