"""The name in the trainer: labels, equations, run files, checkpoints, processes."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from perceptrain import PINN, TrainConfig, Trainer, get_loss, get_model
from perceptrain_core.cli.main import main

X = torch.linspace(-1, 1, 32, dtype=torch.float64).unsqueeze(1)


def second(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    u = net(x)
    (u_x,) = torch.autograd.grad(u.sum(), x, create_graph=True)
    (u_xx,) = torch.autograd.grad(u_x.sum(), x, create_graph=True)
    return u, u_x, u_xx


@pytest.mark.parametrize("feature_map", ["fourier", "chebyshev"])
def test_second_derivatives_are_those_of_finite_differences(feature_map: str) -> None:
    model = get_model("qnn", n_qubits=3, depth=2, feature_map=feature_map)
    x = 0.9 * X
    _, u_x, u_xx = second(model, x.clone().requires_grad_())
    h = 1e-4
    with torch.no_grad():
        up, middle, down = model(x + h), model(x), model(x - h)
    torch.testing.assert_close(u_x, (up - down) / (2 * h), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(u_xx, (up - 2 * middle + down) / h**2, rtol=1e-4, atol=1e-2)


def test_a_residual_of_second_order_has_exact_gradients() -> None:
    model = get_model("qnn", n_qubits=2, depth=1)
    x = X[::8].clone()

    def residual(angles: Tensor) -> Tensor:
        def network(points: Tensor) -> Tensor:
            return torch.func.functional_call(model, {"angles": angles}, (points,))

        u, _, u_xx = second(network, x.requires_grad_())  # type: ignore[arg-type]
        return (u_xx + u).square().mean()

    assert torch.autograd.gradcheck(residual, (model.angles.detach().requires_grad_(),))


def oscillation(points: Tensor, net: nn.Module) -> Tensor:  # u'' = -4 u
    u, _, u_xx = second(net, points)
    return u_xx + 4 * u


def start(points: Tensor, net: nn.Module) -> Tensor:  # u(0) = 1
    return net(points) - 1


def slope(points: Tensor, net: nn.Module) -> Tensor:  # u'(0) = 0
    return second(net, points)[1]


def test_it_is_the_network_of_a_pinn() -> None:
    """The test of the README solves an equation."""
    network = get_model("qnn", n_qubits=2, depth=2)
    model = PINN(network, {"ode": oscillation, "start": start, "slope": slope})
    zero = torch.zeros(1, 1, dtype=torch.float64)
    config = TrainConfig(max_iter=10, verbose=False)
    trainer = Trainer(model, {"name": "adam", "lr": 0.1}, config, loss_fn="mse")
    points = {"ode": X, "start": zero, "slope": zero}
    trainer.fit([points])
    assert trainer.validate([points])["val_loss"] < trainer.history[0]["train_loss"] / 2


@pytest.mark.slow
def test_it_is_trained_by_name_from_a_run_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "\n".join(
        f"{x},{y}" for x, y in zip(X[:, 0].tolist(), X.sin()[:, 0].tolist(), strict=True)
    )
    (tmp_path / "sine.csv").write_text("x,y\n" + rows + "\n")
    (tmp_path / "run.toml").write_text(
        """
        [model]
        name = "qnn"
        n_qubits = 2
        depth = 1
        observable = ["Z0 + Z1"]
        trainable_scaling = true
        [loss]
        name = "mse"
        [optimizer]
        name = "adam"
        lr = 0.05
        [data]
        file = "sine.csv"
        inputs = ["x"]
        labels = ["y"]
        [train]
        max_iter = 60
        batch_size = 32
        dtype = "float64"
        """
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["perceptrain", "train", "run.toml"])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    (table,) = tmp_path.glob("runs/**/metrics.csv")
    lines = table.read_text().splitlines()
    column = lines[0].split(",").index("train_loss")
    losses = [float(line.split(",")[column]) for line in lines[1:]]
    assert losses[-1] < losses[0] / 5


def fitted(epochs: int, folder: Path, resume: bool = False) -> Trainer:
    torch.manual_seed(3)
    model = get_model("qnn", n_qubits=2, depth=1, trainable_scaling=True)
    config = TrainConfig(
        max_iter=epochs, batch_size=8, checkpoint_every=1, log_folder=str(folder), verbose=False
    )
    trainer = Trainer(model, "adam", config)
    trainer.fit((X, (3 * X).sin()), resume=resume)
    return trainer


def test_a_resumed_run_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    whole = fitted(4, tmp_path / "whole")
    fitted(2, tmp_path / "parts")
    resumed = fitted(4, tmp_path / "parts", resume=True)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name])


def test_two_processes_train_it() -> None:
    model = get_model("qnn", n_qubits=2, depth=1)
    config = TrainConfig(max_iter=10, batch_size=16, nprocs=2, verbose=False)
    trainer = Trainer(model, {"name": "adam", "lr": 0.05}, config)
    trained, _ = trainer.fit((X, X.sin()))
    assert trainer.history[-1]["train_loss"] < trainer.history[0]["train_loss"]
    assert torch.isfinite(trained(X)).all()


@pytest.mark.slow
@pytest.mark.parametrize("diff_mode", ["adjoint", "gpsr"])
def test_other_modes_take_the_same_steps(diff_mode: str) -> None:
    losses = []
    for mode in ("ad", diff_mode):
        torch.manual_seed(0)
        model = get_model("qnn", n_qubits=2, depth=1, diff_mode=mode)
        config = TrainConfig(max_iter=5, batch_size=32, verbose=False)
        trainer = Trainer(model, {"name": "adam", "lr": 0.05}, config)
        trainer.fit((X, X.sin()))
        losses.append([row["train_loss"] for row in trainer.history])
    assert losses[0] == pytest.approx(losses[1], rel=1e-8)


def test_classes_are_several_observables() -> None:
    labels = (X[:, 0] > 0).long() + (X[:, 0] > 0.5).long()
    model = get_model("qnn", n_qubits=3, depth=2, observable=["Z0", "Z1", "Z2"])
    config = TrainConfig(max_iter=20, batch_size=32, verbose=False)
    trainer = Trainer(model, {"name": "adam", "lr": 0.1}, config, loss_fn="cross_entropy")
    trainer.fit((X, labels))
    assert trainer.history[-1]["train_loss"] < trainer.history[0]["train_loss"] - 0.1


def test_copies_and_pickles_are_the_same_model() -> None:
    model = get_model("qnn", n_qubits=3, depth=1, observable=["Z0 - 0.5 X1", "Y2"], uploads=2)
    for made in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(made(X), model(X))
        with torch.no_grad():
            made.angles.zero_()
        assert not torch.equal(made(X), model(X))


def test_it_can_be_float32_and_back() -> None:
    model = get_model("qnn", n_qubits=3, depth=1, observable="0.3 Y0 Z1 + X2")
    exact = model(X).detach()
    model.to(torch.float32)
    assert model(X).dtype is torch.float32
    torch.testing.assert_close(model(X), exact.float(), rtol=0, atol=1e-5)
    loss, _ = get_loss("mse")((X.float(), X.float()), model)
    loss.backward()
    assert model.angles.grad.abs().max() > 0
    model.to(torch.float64)
    torch.testing.assert_close(model(X), exact, rtol=0, atol=1e-5)


def test_automatic_mixed_precision_leaves_it_exact() -> None:
    model = get_model("qnn", n_qubits=2, depth=1)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model(X), model(X.clone()))
        inside = model(X)
    assert torch.equal(inside, model(X))
