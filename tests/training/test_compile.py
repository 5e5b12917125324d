"""``TrainConfig(compile=True)`` trains as without it, whatever is combined."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from perceptrain import (
    FFNN,
    Callback,
    Counted,
    TrainConfig,
    Trainer,
    get_optimizer,
    to_dataloader,
)
from perceptrain.errors import CaptureError, NonFiniteLossError
from perceptrain_core.capture import program

from ..oscillation import pinn, points
from .conftest import Made

pytestmark = pytest.mark.usefixtures("made")


def supervised(outputs: int = 1, classes: bool = False, rows: int = 60) -> Any:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(rows, 3, generator=generator)
    y = torch.randn(rows, outputs, generator=generator)
    labels = torch.randint(outputs, (rows,), generator=generator)
    return to_dataloader(x, labels if classes else y, batch_size=10)


def network(outputs: int = 1) -> nn.Module:
    return FFNN([3, 8, outputs], nn.Tanh())


def with_everything() -> nn.Module:
    return nn.Sequential(
        nn.Linear(3, 8), nn.Tanh(), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 1)
    )


#: What an optimizer has instead of the usual learning rate.
RATE: dict[str, dict[str, float]] = {"sequential": {}, "ssbroyden": {}}


def train(
    model: Callable[[], nn.Module],
    data: Any,
    loss: Any,
    optimizer: Any = "adam",
    compile: bool | str = True,
    epochs: int = 5,
    weighting: Any = None,
    **options: Any,
) -> Trainer:
    torch.manual_seed(0)
    built = model()
    named = {"name": optimizer} if isinstance(optimizer, str) else optimizer
    settings = {"dtype": torch.float64, "verbose": False, "tracking_tool": "none"} | options
    config = TrainConfig(max_iter=epochs, compile=compile, seed=0, **settings)
    extra = {} if weighting is None else {"weighting": weighting}
    trainer = Trainer(
        built,
        get_optimizer(RATE.get(named["name"], {"lr": 0.01}) | named, built.parameters()),
        config,
        loss_fn=loss,
        **extra,
    )
    trainer.fit(data)
    return trainer


def states(trainer: Trainer) -> dict[str, Tensor]:
    return {n: t.detach() for n, t in trainer.model.state_dict().items()}


def assert_same(one: Trainer, other: Trainer, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(states(one), states(other), rtol=tolerance, atol=tolerance)
    assert len(one.history) == len(other.history)
    for row, expected in zip(one.history, other.history, strict=True):
        assert row == pytest.approx(expected, rel=tolerance, abs=tolerance)


OPTIMIZERS: list[Any] = [
    "sgd",
    {"name": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    "adam",
    {"name": "adam", "amsgrad": True, "weight_decay": 0.1},
    "adamw",
    "nadam",
    "radam",
    "adamax",
    "adadelta",
    "rmsprop",
    {"name": "rmsprop", "centered": True, "momentum": 0.9},
    "adagrad",
    "rprop",
]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_optimizers(optimizer: Any, made: Made) -> None:
    captured = train(network, supervised(), "mse", optimizer, "strict")
    assert_same(captured, train(network, supervised(), "mse", optimizer, False))
    assert made[0].costs.count >= 25


SETTINGS: dict[str, dict[str, Any]] = {
    "clip": {"grad_clip": 0.01, "log_grad_norm": True},
    "clip_value": {"grad_clip_value": 0.001},
    "ema": {"ema": 0.9},
    "cosine": {"lr_scheduler": "cosine_annealing"},
    "one_cycle": {"lr_scheduler": {"name": "one_cycle", "max_lr": 0.05, "interval": "batch"}},
    "skip": {"on_nonfinite": "skip"},
    "ignore": {"on_nonfinite": "ignore"},
    "accumulate": {"accumulate": 4},
    "float32": {"dtype": None},
    "bf16": {"precision": "bf16"},
    "bf16-true": {"precision": "bf16-true", "dtype": None},
}


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
def test_settings(setting: str, made: Made) -> None:
    options = SETTINGS[setting]
    captured = train(network, supervised(), "mse", compile="strict", **options)
    tolerance = {"float32": 1e-5, "bf16-true": 2e-2}.get(setting, 1e-9)
    expected = train(network, supervised(), "mse", compile=False, **options)
    assert_same(captured, expected, tolerance)
    assert made[0].costs.count >= 25


def test_dropout_and_the_averages_of_batch_norm(made: Made) -> None:
    captured = train(with_everything, supervised(), "mse", "sgd", "strict")
    assert_same(captured, train(with_everything, supervised(), "mse", "sgd", False))
    assert made[0].costs.count >= 25


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss",
    [
        "cross_entropy",
        {"name": "cross_entropy", "accuracy": True, "label_smoothing": 0.1},
        {"name": "cross_entropy", "ignore_index": 2},
    ],
    ids=str,
)
def test_classes_and_what_they_are_means_over(loss: Any, made: Made) -> None:
    data = supervised(3, classes=True)
    captured = train(lambda: network(3), data, loss, compile="strict")
    assert_same(captured, train(lambda: network(3), data, loss, compile=False))
    assert made[0].costs.count >= 25


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "every"),
    [
        *((name, 1) for name in ("relobralo", "softadapt", "gradnorm", "uncertainty")),
        *((name, 5) for name in ("grad_weighted", "relobralo")),
    ],
)
def test_weightings(name: str, every: int, made: Made) -> None:
    options: dict[str, Any] = {"name": name}
    if name == "grad_weighted":
        options["fixed_metric"] = "ode"
    if name != "uncertainty":
        options["every"] = every
    runs = [
        train(pinn, points(), "mse", compile=mode, epochs=27, weighting=options)
        for mode in ("strict", False)
    ]
    assert_same(*runs, tolerance=1e-6)
    assert made[0].costs.count >= 18


@pytest.mark.slow
@pytest.mark.parametrize(
    "optimizer",
    [
        "lbfgs",
        "ssbroyden",
        {"name": "sequential", "optimizers": ["adam", "ssbroyden"], "milestones": [1]},
    ],
    ids=str,
)
def test_a_closure_gets_captured_gradients(made: Made, optimizer: Any) -> None:
    captured = train(pinn, points(), "mse", optimizer, "strict", epochs=3)
    assert_same(captured, train(pinn, points(), "mse", optimizer, False, epochs=3))
    assert made[0].costs.count > 20


@pytest.mark.slow
def test_a_smaller_last_batch_is_an_eager_step_until_it_is_frequent(made: Made) -> None:
    def trained(compile: bool) -> Trainer:
        return train(network, supervised(rows=65), "mse", compile=compile, epochs=30)

    assert_same(trained(True), trained(False))
    # One step creates the state of Adam; of each kind the steps 1, 2, 11 and 101 are compared.
    assert made[0].costs.count == (30 * 6 - 1 - 4) + (30 - 19 - 3)


@pytest.mark.slow
def test_a_resumed_run_repeats_the_captured_steps(tmp_path: Path, made: Made) -> None:
    def run(folder: str, epochs: int, resume: bool = False) -> Trainer:
        torch.manual_seed(0)
        model = with_everything()
        config = TrainConfig(
            max_iter=epochs,
            compile="strict",
            seed=0,
            verbose=False,
            tracking_tool="none",
            checkpoint_every=1,
            root_folder=tmp_path,
            log_folder=Path(folder),
        )
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        trainer = Trainer(model, optimizer, config, loss_fn="mse")
        trainer.fit(supervised(rows=65), resume=resume)
        return trainer

    whole = run("whole", 24)
    run("part", 21)
    resumed = run("part", 24, resume=True)
    for name, value in states(whole).items():
        assert torch.equal(value, states(resumed)[name]), name
    assert whole.history == resumed.history
    assert made[2].costs.count > 10


def mean_square(batch: Any, model: nn.Module) -> Tensor:
    return (model(batch[0]) - batch[1]).square().mean()


def reads_item(batch: Any, model: nn.Module) -> Any:
    loss = mean_square(batch, model)
    return loss, {"copy": loss.item()}


def branches(batch: Any, model: nn.Module) -> Any:
    loss = mean_square(batch, model)
    return (2 * loss if loss > 1 else loss), {}


def goes_through_numpy(batch: Any, model: nn.Module) -> Any:
    weight = float(np.mean(batch[1].numpy()) ** 2)
    return (1 + weight) * mean_square(batch, model), {}


def masks(batch: Any, model: nn.Module) -> Any:
    kept = batch[1][:, 0] > 0
    return mean_square((batch[0][kept], batch[1][kept]), model), {}


def draws(batch: Any, model: nn.Module) -> Any:
    return (1 + random.random()) * mean_square(batch, model), {}


def draws_by_numpy(batch: Any, model: nn.Module) -> Any:
    return (1 + np.random.rand()) * mean_square(batch, model), {}


def prints(batch: Any, model: nn.Module) -> Any:
    print(end=" ")
    return mean_square(batch, model), {}


class Anneals:
    """Changes with the number of its calls, which a graph does not count."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, batch: Any, model: nn.Module) -> Any:
        self.calls += 1
        return mean_square(batch, model) * (1 + self.calls / 10), {}


REASONS: list[tuple[Callable[[], Any], str]] = [
    (lambda: reads_item, r"reads the value of a tensor with \.item\(\) \(test_compile.py, line"),
    (lambda: branches, r"with a condition \(test_compile.py, line \d+: .*if loss > 1"),
    (lambda: goes_through_numpy, r"with \.numpy\(\)"),
    (lambda: masks, "a shape depends on values, by a mask"),
    (lambda: draws, "draws random numbers with Python's random"),
    (lambda: draws_by_numpy, "draws random numbers with NumPy"),
    (lambda: prints, "prints"),
    (
        Anneals,
        r"calling the loss changes loss\.calls \(test_compile.py, line \d+\), .* in a tensor",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "reason"), REASONS)
def test_what_a_graph_cannot_repeat_is_an_eager_step(
    loss: Callable[[], Any], reason: str, made: Made
) -> None:
    own = loss()
    with pytest.warns(UserWarning, match=reason) as caught:
        captured = train(network, supervised(), own, "sgd")
    assert len(caught) == 1
    assert made[0].costs.count == 0
    assert_same(captured, train(network, supervised(), loss(), "sgd", False), tolerance=0)
    if isinstance(own, Anneals):
        assert own.calls == 30
    with pytest.raises(CaptureError, match=reason):
        train(network, supervised(), loss(), "sgd", "strict")


def test_state_of_a_loss_in_tensors_is_captured(made: Made) -> None:
    class Normalized:
        def __init__(self) -> None:
            self.mean, self.total = torch.ones((), dtype=torch.float64), torch.zeros(1)

        def __call__(self, batch: Any, model: nn.Module) -> Any:
            loss = mean_square(batch, model)
            self.mean = 0.9 * self.mean + 0.1 * loss.detach()
            self.total += 1
            return loss / self.mean, {"mean": self.mean}

    losses = Normalized(), Normalized()
    captured = train(network, supervised(), losses[0], compile="strict")
    assert_same(captured, train(network, supervised(), losses[1], compile=False))
    assert torch.equal(losses[0].total, losses[1].total)
    assert losses[0].mean == pytest.approx(losses[1].mean)
    assert made[0].costs.count >= 25


@pytest.mark.slow
def test_what_changes_between_epochs_is_captured_again(made: Made) -> None:
    def run(compile: bool | str, times: int) -> Trainer:
        options = {"factor": 1.0}

        def loss(batch: Any, model: nn.Module) -> Any:
            return options["factor"] * mean_square(batch, model), {}

        def decay(*_: Any) -> None:
            options["factor"] *= 0.5

        callback = Callback(on="train_epoch_end", called_every=times, callback=decay)
        return train(network, supervised(), loss, compile=compile, epochs=6, callbacks=[callback])

    assert_same(run("strict", 3), run(False, 3))
    assert made[0].costs.count >= 25
    with pytest.warns(UserWarning, match=r"\['factor'\].* keeps changing between steps"):
        often = run(True, 1)
    assert_same(often, run(False, 1))


def test_a_program_that_differs_is_not_used(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(graph: Any, inputs: Any) -> Any:
        return lambda *tensors: [1.01 * output for output in graph(*tensors)]

    monkeypatch.setattr(program, "_compiled", wrong)
    with pytest.warns(UserWarning, match="differs from the eager step: the loss by"):
        captured = train(network, supervised(), "mse")
    assert_same(captured, train(network, supervised(), "mse", compile=False), tolerance=0)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["raise", "skip", "ignore"])
def test_a_loss_that_is_nan(policy: str, made: Made) -> None:
    rows = torch.randn(60, 3, generator=torch.Generator().manual_seed(1))
    rows[42] = torch.nan
    data = [(x, x[:, :1].nan_to_num(0.0)) for x in rows.split(10)]

    def run(compile: bool | str) -> Trainer:
        return train(network, data, "mse", compile=compile, epochs=2, on_nonfinite=policy)

    if policy == "raise":
        with pytest.raises(NonFiniteLossError, match="epoch 1, batch 5"):
            run("strict")
        assert made[0].costs.count > 0
        return
    with nullcontext() if policy == "ignore" else pytest.warns(UserWarning, match="were skipped"):
        captured, eager = run("strict"), run(False)
    for name, value in states(eager).items():
        torch.testing.assert_close(states(captured)[name], value, equal_nan=True)
    assert made[0].costs.count > 5


def test_counts_that_are_tensors(made: Made) -> None:
    def loss(batch: Any, model: nn.Module) -> Any:
        weight = (batch[1] > 0).double()
        squares = (model(batch[0]) - batch[1]).square()
        return (weight * squares).sum() / weight.sum(), Counted({}, weight.sum())

    captured = train(network, supervised(), loss, compile="strict")
    assert_same(captured, train(network, supervised(), loss, compile=False))
    assert made[0].costs.count >= 25


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", {"name": "adamw", "weight_decay": 0.1}], ids=str)
def test_a_rate_of_zero_where_a_gradient_is_zero(optimizer: Any, made: Made) -> None:
    rows = torch.randn(60, 3, generator=torch.Generator().manual_seed(1))
    rows[:, 1] = 0  # so that a column of the first matrix never has a gradient
    data = [(x, x[:, :1]) for x in rows.split(10)]

    def stop(trainer: Any, *_: Any) -> None:
        trainer.optimizer.param_groups[0]["lr"] = 0.0

    def run(compile: bool | str) -> Trainer:
        callback = Callback(on="train_epoch_end", called_every=3, callback=stop)
        return train(network, data, "mse", optimizer, compile, epochs=5, callbacks=[callback])

    captured = run("strict")
    assert_same(captured, run(False))
    assert all(value.isfinite().all() for value in states(captured).values())
    assert made[0].costs.count >= 20


def test_data_in_memory_that_cannot_be_written(tmp_path: Path, made: Made) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.random.default_rng(0).normal(size=(60, 4)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of such arrays
        rows = torch.from_numpy(np.load(path, mmap_mode="r"))
    data = [(part[:, :3], part[:, 3:]) for part in rows.split(10)]
    captured = train(network, data, "mse", compile="strict")
    assert_same(captured, train(network, data, "mse", compile=False))
    assert made[0].costs.count >= 20
