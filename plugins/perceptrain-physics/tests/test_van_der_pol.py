"""Van der Pol's oscillator against a solver of SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from perceptrain_physics import VanDerPol


@pytest.mark.slow
@pytest.mark.parametrize(("mu", "end"), [(1.0, 10.0), (5.0, 8.0), (20.0, 20.0)])
def test_the_reference_is_that_of_a_solver_of_scipy(mu: float, end: float) -> None:
    t = np.linspace(0, end, 200)
    solved = solve_ivp(
        lambda t, y: [y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]],
        (0, end), [2.0, 0.0], method="DOP853", t_eval=t, rtol=1e-13, atol=1e-13,
    )  # fmt: skip
    found = VanDerPol(mu, end).exact(torch.from_numpy(t).unsqueeze(1))
    assert found.min() < -1.5  # after the jump
    torch.testing.assert_close(found[:, 0], torch.from_numpy(solved.y[0]), rtol=0, atol=1e-9)
