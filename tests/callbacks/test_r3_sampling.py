from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from perceptrain import FFNN, PINN, Callback, DictDataLoader, Trainer, get_callback
from perceptrain.callbacks import R3Sampling
from perceptrain.data import R3Dataset
from perceptrain.errors import CallbackError, ShapeError

from ..shared import same

MakeTrainer = Callable[..., Trainer]


def uniform(n: int) -> Tensor:
    return torch.rand(n, 1)


def ode(t: Tensor, u: nn.Module) -> Tensor:
    x = u(t)
    (du,) = torch.autograd.grad(x.sum(), t, create_graph=True)
    return du + 5 * x


def residual(points: Tensor, model: nn.Module) -> Tensor:
    return model({"pde": points})["pde"].abs()


def pinn() -> PINN:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return PINN(FFNN([1, 8, 1]), {"pde": ode})


@pytest.fixture
def data() -> R3Dataset:
    torch.manual_seed(0)
    return R3Dataset(uniform, 20, release_threshold=0.5)


LOADERS: dict[str, Callable[[R3Dataset], Any]] = {
    "loader": lambda data: DictDataLoader({"pde": DataLoader(data, batch_size=5, shuffle=True)}),
    "plain": lambda data: {"pde": data},
}


@pytest.mark.parametrize("kind", LOADERS)
def test_every_epoch_trains_on_the_points_of_the_users_own_data_set(
    make_trainer: MakeTrainer, data: R3Dataset, kind: str
) -> None:
    seen: list[Tensor] = []
    epochs: list[Tensor] = []

    def loss(batch: dict[str, Tensor], model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        seen.append(batch["pde"].detach().clone())
        return model(batch)["pde"].square().mean(), {}

    def compare(*_: Any) -> None:
        assert torch.equal(torch.cat(seen).sort(0).values, data.features.sort(0).values)
        epochs.append(data.features.clone())
        seen.clear()

    initial = data.features.clone()
    callbacks = [R3Sampling(data, residual), Callback("train_epoch_end", callback=compare)]
    make_trainer(
        loss, data=LOADERS[kind](data), model=pinn(), max_iter=4, callbacks=callbacks
    ).fit()
    changed = [not torch.equal(a, b) for a, b in zip([initial, *epochs], epochs, strict=False)]
    assert any(changed)
    assert len(epochs) == 4


def test_update_is_that_of_the_fitness(make_trainer: MakeTrainer, data: R3Dataset) -> None:
    model = pinn()
    before = data.features.clone()
    points = before.clone().requires_grad_()
    expected = ode(points, model.nn).detach().abs().squeeze(1)
    data.release_threshold = float(expected.median())
    kept = expected >= data.release_threshold
    assert 0 < kept.sum() < 20
    trainer = make_trainer(
        "mse", data={"pde": data}, model=model, max_iter=1, callbacks=[R3Sampling(data, residual)]
    )
    trainer.fit()
    assert torch.equal(data.features[kept], before[kept])
    assert (data.features[~kept] != before[~kept]).all()


def test_called_every_so_many_epochs(make_trainer: MakeTrainer, data: R3Dataset) -> None:
    called: list[int] = []

    def fitness(points: Tensor, model: nn.Module) -> Tensor:
        called.append(trainer.current_epoch)
        return torch.zeros(20)

    r3 = R3Sampling(data, fitness, called_every=3)
    trainer = make_trainer(data={"pde": data}, model=pinn(), max_iter=7, callbacks=[r3])
    trainer.fit()
    assert called == [3, 6]


def test_fitness_sees_gradients_evaluation_mode_and_the_dtype(
    make_trainer: MakeTrainer, data: R3Dataset
) -> None:
    def fitness(points: Tensor, model: nn.Module) -> Tensor:
        assert points.requires_grad
        assert torch.is_grad_enabled()
        assert not model.training
        assert points.dtype is torch.float64
        points.data.zero_()  # whatever it does to them, the data set is not touched
        return torch.ones(20, requires_grad=True)

    before = data.features.clone()
    model = pinn()
    trainer = make_trainer(
        data={"pde": data},
        model=model,
        max_iter=1,
        dtype=torch.float64,
        callbacks=[R3Sampling(data, fitness)],
    )
    trainer.fit()
    assert torch.equal(data.features, before)
    assert model.training


@pytest.mark.slow
@pytest.mark.parametrize("stop", [1, 3, 4])
def test_resumed_run_is_bit_identical(make_trainer: MakeTrainer, stop: int) -> None:
    def trained(epochs: int, folder: str, resume: bool = False) -> tuple[Trainer, R3Dataset]:
        data = R3Dataset(uniform, 20, release_threshold=0.5)
        trainer = make_trainer(
            data=LOADERS["loader"](data),
            model=pinn(),
            max_iter=epochs,
            seed=6,
            checkpoint_every=1,
            log_folder=folder,
            callbacks=[R3Sampling(data, residual, called_every=2)],
        )
        if not resume:
            data.features.copy_(torch.linspace(0, 1, 20)[:, None])  # both runs start alike
        trainer.fit(resume=resume)
        return trainer, data

    whole, points = trained(7, "whole")
    trained(stop, "parts")
    torch.rand(9)
    resumed, again = trained(7, "parts", resume=True)
    assert torch.equal(points.features, again.features)
    assert resumed.history == whole.history
    assert same(whole.model, resumed.model)


@pytest.mark.parametrize("verbose", [True, False])
def test_verbose(
    make_trainer: MakeTrainer, data: R3Dataset, capsys: pytest.CaptureFixture[str], verbose: bool
) -> None:
    r3 = R3Sampling(data, lambda points, model: (points > 2).float(), verbose=True)
    make_trainer(
        data={"pde": data},
        model=pinn(),
        max_iter=1,
        callbacks=[r3],
        verbose=verbose,
        progress=False,
    ).fit()
    line = "Epoch 1: R3 kept 0 of 20 points and resampled 20.\n"
    assert capsys.readouterr().out == (line if verbose else "")


def test_fitness_that_is_reduced_is_refused(make_trainer: MakeTrainer, data: R3Dataset) -> None:
    r3 = R3Sampling(data, lambda points, model: points.norm())
    trainer = make_trainer(data={"pde": data}, model=pinn(), callbacks=[r3])
    with pytest.raises(ShapeError, match=r"The fitness is \(\); expected .* do not reduce it"):
        trainer.fit()


def test_by_name(data: R3Dataset) -> None:
    r3 = get_callback("r3_sampling", initial_dataset=data, fitness_function=residual)
    assert isinstance(r3, R3Sampling)
    assert r3.dataset is data


def test_what_cannot_be(data: R3Dataset) -> None:
    with pytest.raises(CallbackError, match="initial_dataset is of type Tensor"):
        R3Sampling(data.features, residual)  # type: ignore[arg-type]
    with pytest.raises(CallbackError, match="fitness_function is None"):
        R3Sampling(data, None)  # type: ignore[arg-type]
    with pytest.raises(CallbackError, match=r"called as fitness_function\(points, model\)"):
        R3Sampling(data, lambda points: points)  # type: ignore[arg-type,misc]
    with pytest.raises(CallbackError, match="called_every"):
        R3Sampling(data, residual, called_every=0)
