"""The learning-rate range test, against closed forms and real data."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, TrainConfig, Trainer, to_dataloader
from perceptrain.errors import (
    ConfigError,
    DataError,
    LossContractError,
    MissingDependencyError,
    NonFiniteLossError,
    TrainingError,
)

MakeTrainer = Callable[..., Trainer]


class Point(nn.Module):
    """One parameter, whose loss is a parabola."""

    def __init__(self, value: float = 1.0) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.tensor(value, dtype=torch.float64))


def parabola(curvature: float) -> Callable[..., Any]:
    return lambda batch, model: (curvature / 2 * model.x.square(), {})


def quadratic(curvature: float, lr: float = 1.0, **options: Any) -> Any:
    model = Point()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    trainer = Trainer(model, optimizer, TrainConfig(verbose=False), parabola(curvature))
    return trainer.find_lr(**{"min_lr": 1e-3, "max_lr": 1e3, "smoothing": 0.0} | options)


@pytest.mark.parametrize("curvature", [0.5, 1.0, 7.0])
def test_gradient_descent_diverges_above_two_by_the_curvature(curvature: float) -> None:
    found = quadratic(curvature, divergence=1e6)
    factors = [1 - rate * curvature for rate in found.lrs]
    loss = curvature / 2
    for rate, seen, factor in zip(found.lrs, found.losses, factors, strict=True):
        assert seen == pytest.approx(loss, rel=1e-9), rate
        loss *= factor**2
    lowest = found.losses.index(min(found.losses))
    # The loss at a rate is that from before its step, so the lowest is at the first rate above.
    assert found.lrs[lowest - 1] <= 2 / curvature < found.lrs[lowest]
    assert found.suggestion == found.lrs[lowest] / 10
    assert found.diverged


def test_rates_are_evenly_spaced_in_their_logarithm() -> None:
    found = quadratic(1.0, min_lr=1e-6, max_lr=1e-2, steps=5)
    assert found.lrs == pytest.approx([1e-6, 1e-5, 1e-4, 1e-3, 1e-2])
    assert not found.diverged
    assert len(found.losses) == len(found.smoothed) == 5


def test_smoothing_is_corrected_for_its_start() -> None:
    found = quadratic(1.0, smoothing=0.9, steps=20, max_lr=1.0)
    average = 0.0
    for number, (loss, smoothed) in enumerate(zip(found.losses, found.smoothed, strict=True), 1):
        average = 0.9 * average + 0.1 * loss
        assert smoothed == pytest.approx(average / (1 - 0.9**number))
    assert found.smoothed[0] == pytest.approx(found.losses[0])


def test_it_stops_when_the_loss_diverges() -> None:
    found = quadratic(1.0, steps=300)
    assert found.diverged
    assert len(found.lrs) < 300
    *before, last = found.losses
    assert last > 4 * min(before)
    assert all(loss <= 4 * min(before) for loss in before[before.index(min(before)) :])


def test_it_stops_when_the_loss_is_not_finite() -> None:
    found = quadratic(1.0, max_lr=1e300, divergence=1e300)
    assert found.diverged
    assert len(found.lrs) < 100
    assert all(map(math.isfinite, found.losses))


def test_a_loss_that_is_bad_from_the_start() -> None:
    model = Point()
    trainer = Trainer(model, "sgd", TrainConfig(), lambda batch, model: (model.x * torch.nan, {}))
    with pytest.raises(NonFiniteLossError, match="in a trial"):
        trainer.find_lr()


def test_nothing_is_suggested_where_the_loss_only_rises() -> None:
    assert quadratic(1.0, min_lr=3.0, max_lr=9.0).suggestion is None


@pytest.mark.parametrize("kind", ["sgd", "adam", "lbfgs"])
def test_groups_keep_their_ratios(make_net: Any, make_trainer: MakeTrainer, kind: str) -> None:
    model = make_net()
    first, *rest = model.parameters()
    groups = [{"params": [first], "lr": 0.02}, {"params": rest, "lr": 0.1}]
    makes = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "lbfgs": torch.optim.LBFGS}
    optimizer = makes[kind](model.parameters() if kind == "lbfgs" else groups)
    seen = []

    def note(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        seen.append([group["lr"] for group in optimizer.param_groups])
        return (model(batch[0]) - batch[1]).square().mean(), {}

    found = make_trainer(note, model=model, optimizer=optimizer).find_lr(steps=6, max_lr=0.1)
    shares = [1.0] if kind == "lbfgs" else [0.2, 1.0]
    distinct = list({tuple(rates): None for rates in seen})
    for rates, rate in zip(distinct, found.lrs, strict=True):
        assert rates == pytest.approx([rate * share for share in shares])


def test_rates_that_are_all_zero(make_trainer: MakeTrainer) -> None:
    found = make_trainer(optimizer={"name": "sgd", "lr": 0.0}).find_lr(steps=30, max_lr=0.1)
    assert found.lrs[-1] == pytest.approx(0.1)
    assert len(set(found.losses)) > 1  # the rates of the test act all the same


@pytest.mark.parametrize("batches", [1, 3, 50])
def test_data_are_gone_through_again(rows: Any, make_trainer: MakeTrainer, batches: int) -> None:
    data = [rows] * batches
    assert len(make_trainer().find_lr(data, steps=20, max_lr=1e-3).lrs) == 20


def test_an_iterator_gives_as_many_batches_as_it_has(rows: Any, make_trainer: MakeTrainer) -> None:
    def batches(number: int) -> Iterator[Any]:
        yield from [rows] * number

    assert len(make_trainer().find_lr(batches(4), steps=20).lrs) == 4
    with pytest.raises(DataError, match="no batch"):
        make_trainer().find_lr(batches(0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_lr": 0.0}, "min_lr=0.0: expected a number above 0"),
        ({"min_lr": 1.0, "max_lr": 0.1}, "min_lr=1.0 and max_lr=0.1"),
        ({"max_lr": float("inf")}, "max_lr=inf"),
        ({"max_lr": float("nan")}, "max_lr=nan"),
        ({"steps": 1}, "steps=1: expected a whole number of at least 2"),
        ({"steps": 2.5}, "steps=2.5"),
        ({"smoothing": 1.0}, "smoothing=1.0: expected a number of at least 0 and below 1"),
        ({"divergence": 1.0, "steps": 0}, "steps=0.*; divergence=1.0: expected"),
    ],
)
def test_fault(make_trainer: MakeTrainer, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"find_lr: .*{message}"):
        make_trainer().find_lr(**options)


def test_a_loss_that_is_detached(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(lambda batch, model: (model(batch[0]).detach().sum(), {}))
    with pytest.raises(LossContractError, match="does not depend on the parameters"):
        trainer.find_lr()


def test_an_optimizer_without_rates(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    del trainer.optimizer.param_groups[0]["lr"]
    with pytest.raises(TrainingError, match="Adam has no learning rate"):
        trainer.find_lr()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_the_suggestion_trains_well(name: str) -> None:
    """Handwritten digits: 5 epochs with the suggestion beat those with rates far from it."""
    datasets = pytest.importorskip("sklearn.datasets")
    digits = datasets.load_digits()
    x = torch.tensor(digits.data, dtype=torch.float32) / 16
    y = torch.tensor(digits.target)
    train, test = (x[:1400], y[:1400]), (x[1400:], y[1400:])

    def trainer(lr: float) -> Trainer:
        torch.manual_seed(0)
        config = TrainConfig(max_iter=5, batch_size=32, verbose=False, seed=0)
        optimizer = {"name": name, "lr": lr}
        return Trainer(FFNN([64, 64, 10]), optimizer, config, "cross_entropy", train)

    def accuracy(lr: float) -> float:
        model, _ = trainer(lr).fit()
        return float((model(test[0]).argmax(1) == test[1]).float().mean())

    found = trainer(1e-3).find_lr()
    assert found.diverged
    suggested = accuracy(found.suggestion)
    assert suggested > 0.88
    assert suggested > accuracy(found.suggestion / 100)
    assert suggested > accuracy(found.suggestion * 100)


def test_plot() -> None:
    pytest.importorskip("matplotlib")
    found = quadratic(1.0)
    (axes,) = found.plot().axes
    assert axes.get_xscale() == "log"
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines["loss"].get_ydata()) == found.losses
    assert list(lines["smoothed"].get_xdata()) == found.lrs
    (suggestion,) = {x for n, line in lines.items() if "sugg" in n for x in line.get_xdata()}
    assert suggestion == found.suggestion
    assert len(quadratic(1.0, min_lr=3.0, max_lr=9.0).plot().axes[0].lines) == 2


def test_plot_needs_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match="plot"):
        quadratic(1.0).plot()


def test_one_batch_an_epoch_of_an_infinite_loader(rows: Any, make_trainer: MakeTrainer) -> None:
    data = to_dataloader(*rows, batch_size=3, infinite=True)
    assert len(make_trainer().find_lr(data, steps=9, max_lr=1e-3).lrs) == 9


def test_steps_are_those_of_the_fit(rows: Any, make_trainer: MakeTrainer) -> None:
    """With accumulation the loss is the mean of the batches of a step, and clipping acts."""
    whole = make_trainer(batch_size=20, optimizer={"name": "sgd", "lr": 1.0})
    parts = make_trainer(batch_size=5, accumulate=4, optimizer={"name": "sgd", "lr": 1.0})
    options = {"steps": 10, "min_lr": 1e-3, "max_lr": 0.1}
    assert parts.find_lr(**options).losses == pytest.approx(whole.find_lr(**options).losses)
    clipped = make_trainer(batch_size=20, grad_clip=1e-9, optimizer={"name": "sgd", "lr": 1.0})
    losses = clipped.find_lr(**options).losses
    assert losses == pytest.approx([losses[0]] * 10)
