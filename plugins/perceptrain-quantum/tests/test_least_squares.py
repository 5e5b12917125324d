"""Gauss-Newton steps on quantum circuits, whose rows are differentiated without being mapped."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from perceptrain import PINN, TrainConfig, Trainer, get_model
from perceptrain.errors import TrainingError

X = torch.linspace(-1, 1, 24, dtype=torch.float64).unsqueeze(1)


def qnn(**options: Any) -> Any:
    torch.manual_seed(0)
    return get_model("qnn", n_qubits=2, depth=2, trainable_scaling=True, **options)


def losses(model: Any, data: Any, steps: int) -> list[float]:
    config = TrainConfig(max_iter=steps, dtype=torch.float64, verbose=False)
    trainer = Trainer(model, "gauss_newton", config, loss_fn="mse")
    trainer.fit([data])
    return [row["train_loss"] for row in trainer.history]


def test_a_circuit_fits_labels() -> None:
    """The first step compares the Jacobian with the gradient."""
    found = losses(qnn(), (X, (2 * X).sin()), 15)
    assert found == sorted(found, reverse=True)
    assert found[-1] < 1e-3 * found[0]


def test_the_adjoint_method_is_refused() -> None:
    """It changes the state that it saved, so its second backward pass is another one."""
    with pytest.raises(TrainingError, match=r"computed again.*diff_mode"):
        losses(qnn(diff_mode="adjoint"), (X, (2 * X).sin()), 15)


@pytest.mark.slow
def test_a_circuit_solves_an_equation() -> None:
    def ode(t: Tensor, u: Any) -> Tensor:
        (u_t,) = torch.autograd.grad(u(t).sum(), t, create_graph=True)
        return u_t - 2 * (2 * t).cos()

    model = PINN(qnn(), {"ode": ode, "start": lambda t, u: u(t)})
    found = losses(model, {"ode": X, "start": torch.zeros(1, 1, dtype=torch.float64)}, 15)
    assert found[-1] < 1e-2 * found[0]
