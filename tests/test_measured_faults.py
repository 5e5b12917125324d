"""Faults that were measured in a trainer before this one, and are not here: data, losses, rates.

Fourteen sections, here and in ``test_measured_faults_of_runs.py`` and
``test_measured_faults_of_processes.py``, each name a fault, and what it did; each test fails where
it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

from perceptrain import (
    FFNN,
    PINN,
    DictDataLoader,
    GradWeightedLoss,
    InformationContent,
    Trainer,
    mse_loss,
    to_dataloader,
)
from perceptrain.callbacks import (
    Callback,
    EarlyStopping,
    LRSchedulerCosineAnnealing,
    LRSchedulerReduceOnPlateau,
    LRSchedulerStepDecay,
    R3Sampling,
)
from perceptrain.data import R3Dataset
from perceptrain.errors import CallbackError

MakeTrainer = Callable[..., Trainer]
Rows = tuple[Tensor, Tensor]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, for runs write where they are."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# 1. Data sets of other classes than TensorDataset trained on one batch per epoch; finite loaders
# could not be shuffled; ten epochs of an infinite loader of 100 rows saw 65 of them.


class Pairs(Dataset[Rows]):
    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> Rows:
        return torch.full((2,), float(index)), torch.ones(1)


class Stream(IterableDataset[Rows]):
    def __iter__(self) -> Iterator[Rows]:
        return (Pairs()[index] for index in range(12))


@pytest.mark.parametrize("data", [Pairs(), Stream()], ids=["map-style", "iterable"])
def test_1_an_epoch_is_all_the_data_whatever_their_class(
    make_trainer: MakeTrainer, data: Any
) -> None:
    seen: Counter[float] = Counter()

    def loss_fn(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        seen.update(batch[0][:, 0].tolist())
        return mse_loss(batch, model)

    trainer = make_trainer(loss_fn, data=DataLoader(data, batch_size=5), max_iter=2)
    trainer.fit()
    assert trainer.global_step == 6
    assert seen == Counter({float(row): 2 for row in range(12)})


def test_1_finite_loaders_can_be_shuffled() -> None:
    x = torch.arange(50.0)
    loader = to_dataloader(x, batch_size=50, shuffle=True)
    (one,), (two,) = next(iter(loader)), next(iter(loader))
    assert one.tolist() != two.tolist() != x.tolist()
    assert sorted(one.tolist()) == sorted(two.tolist()) == x.tolist()
    assert torch.equal(next(iter(to_dataloader(x, batch_size=50)))[0], x)


def test_1_ten_epochs_of_an_infinite_loader_see_all_its_rows(make_trainer: MakeTrainer) -> None:
    x, seen = torch.arange(100.0).reshape(-1, 1), []
    note = Callback("train_batch_end", callback=lambda t, c, w: seen.append(t.global_step))
    rows: list[float] = []

    def loss_fn(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        rows.extend(batch[0].flatten().tolist())
        return mse_loss(batch, model)

    data = to_dataloader(x, x, batch_size=10, infinite=True)
    make_trainer(loss_fn, data=data, model=nn.Linear(1, 1), max_iter=10, callbacks=[note]).fit()
    assert seen == list(range(1, 11))
    assert sorted(rows) == x.flatten().tolist()


# 2. GradWeightedLoss left each term's gradient in .grad: later terms were weighted by sums, and the
# step was that of (w + 1) g. With L-BFGS the objective changed at every call; validation failed.


def three_terms(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
    error = model(batch[0]) - batch[1]
    terms = {"pde": error.square().mean(), "a": error.abs().mean(), "b": 3 * error.sin().mean()}
    return sum(terms.values(), torch.tensor(0.0)), terms


def annealed(every: int = 1) -> GradWeightedLoss:
    return GradWeightedLoss(
        None, three_terms, None, None, "pde", 1.0, denominator="unweighted", every=every
    )


def test_2_a_step_is_that_of_the_weighted_terms(
    make_trainer: MakeTrainer, make_net: Any, rows: Rows
) -> None:
    model, by_hand = make_net(), make_net()
    parameters = list(by_hand.parameters())
    _, terms = three_terms(rows, by_hand)
    grads = {k: torch.autograd.grad(t, parameters, retain_graph=True) for k, t in terms.items()}
    flat = {name: torch.cat([g.flatten() for g in gs]) for name, gs in grads.items()}
    weights = {name: flat["pde"].abs().max() / flat[name].abs().mean() for name in ("a", "b")}
    expected = flat["pde"] + weights["a"] * flat["a"] + weights["b"] * flat["b"]
    sgd = torch.optim.SGD(model.parameters(), lr=1e-3)
    make_trainer(annealed(), model=model, optimizer=sgd, data=[rows], max_iter=1).fit()
    before, after = (nn.utils.parameters_to_vector(m.parameters()) for m in (by_hand, model))
    torch.testing.assert_close(before - after, 1e-3 * expected, rtol=1e-3, atol=1e-6)


def test_2_one_step_of_lbfgs_minimises_one_function(make_trainer: MakeTrainer, rows: Rows) -> None:
    steps: list[set[float]] = []

    class Watched(GradWeightedLoss):
        def begin_step(self) -> None:
            super().begin_step()
            steps.append(set())

        def forward(self, batch: Any, model: nn.Module) -> Any:
            loss, metrics = super().forward(batch, model)
            steps[-1].add(float(metrics["weight_a"]))
            return loss, metrics

    loss_fn = Watched(None, three_terms, None, None, "pde", 0.5, every=1)
    optimizer = {"name": "lbfgs", "lr": 0.01, "max_iter": 6}
    make_trainer(loss_fn, optimizer=optimizer, data=[rows], max_iter=3).fit()
    assert [len(weights) for weights in steps] == [1, 1, 1]
    assert len(set.union(*steps)) == 3


def test_2_validation_works_and_changes_no_weight(make_trainer: MakeTrainer, rows: Rows) -> None:
    trainer = make_trainer(annealed(), val=rows, val_every=1)
    trainer.fit()
    weights = trainer.loss_fn.metric_weights  # type: ignore[attr-defined]
    assert trainer.validate()["val_weight_a"] == pytest.approx(weights["a"])
    assert trainer.loss_fn.metric_weights == weights  # type: ignore[attr-defined]


# 3. Callbacks were deep-copied at each fit: R3 sampling updated a private copy of the data set, and
# the user's EarlyStopping never showed what had happened.


def test_3_r3_updates_the_data_that_are_trained_on(make_trainer: MakeTrainer) -> None:
    data = R3Dataset(lambda n: torch.rand(n, 1), 8, release_threshold=0.5)
    sampling = R3Sampling(data, lambda points, model: torch.zeros(len(points)))
    seen: list[list[float]] = []

    def loss_fn(batch: Tensor, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        seen.append(batch.flatten().tolist())
        return model(batch).square().mean(), {}

    loader = DataLoader(data, batch_size=8)
    make_trainer(
        loss_fn, data=loader, model=nn.Linear(1, 1), max_iter=3, callbacks=[sampling]
    ).fit()
    assert len({value for points in seen for value in points}) == 24
    assert seen[-1] == data.features.flatten().tolist()


def test_3_the_users_object_shows_what_happened(make_trainer: MakeTrainer) -> None:
    stopping = EarlyStopping("train_epoch_end", 1, "train_loss", 2, "max")
    trainer = make_trainer(max_iter=50, callbacks=[stopping])
    trainer.fit()
    assert stopping.stopped_epoch == len(trainer.history) == 3
    assert stopping.best_value == trainer.history[0]["train_loss"]


# 7. Validation and test of a PINN crashed, for lack of gradients; test() ignored the loader of the
# constructor and counted the training's batches; the model was left in evaluation mode.


def ode(t: Tensor, u: nn.Module) -> Tensor:
    (du,) = torch.autograd.grad(u(t).sum(), t, create_graph=True)
    return du + u(t)


def test_7_pinns_are_validated_and_tested_on_the_data_given(make_trainer: MakeTrainer) -> None:
    def points(n: int) -> DictDataLoader:
        return DictDataLoader({"ode": to_dataloader(torch.rand(n, 1), batch_size=2)})

    model = PINN(FFNN([1, 4, 1]), {"ode": ode})
    trainer = make_trainer(model=model, data=points(4), val=points(2), test=points(10), val_every=1)
    trainer.fit()
    assert trainer.history[-1]["val_ode"] == pytest.approx(trainer.validate()["val_ode"])
    assert len(trainer.test()) == 5
    assert all(module.training for module in model.modules())


# 8. Gradient-free training handed back the next untried candidate instead of the best.


def test_8_the_best_candidate_is_what_comes_back(make_trainer: MakeTrainer, rows: Rows) -> None:
    """The next one has not been tried: it is worse, as a rule, than the best of forty."""
    told: list[float] = []
    trainer = make_trainer(
        optimizer={"name": "one_plus_one", "budget": 40}, data=[rows], max_iter=40, seed=0
    )
    trainer.on_train_batch_end = lambda result: told.append(float(result[0]))  # type: ignore[method-assign]
    model, _ = trainer.fit()
    assert len(told) == 40
    assert told[-1] > min(told)
    assert nn.functional.mse_loss(model(rows[0]), rows[1]).item() == pytest.approx(min(told))


# 9. Cosine annealing compounded on its own output; "max" on a plateau started from +inf; a typo in
# mode was accepted; on batch stages epochs were counted; iteration 0 was always left out.


def rates(
    make_trainer: MakeTrainer, schedule: Callback, stage: str, **settings: Any
) -> list[float]:
    found: list[float] = []
    note = Callback(stage, 1, lambda t, c, w: found.append(t.optimizer.param_groups[0]["lr"]))
    make_trainer(optimizer={"name": "sgd", "lr": 0.1}, callbacks=[schedule, note], **settings).fit()
    return found


@pytest.mark.parametrize(("stage", "epochs"), [("train_epoch_end", 8), ("train_batch_end", 2)])
def test_9_cosine_annealing_counts_and_is_that_of_torch(
    make_trainer: MakeTrainer, stage: str, epochs: int
) -> None:
    schedule = LRSchedulerCosineAnnealing(stage, 1, 8, 0.01)
    found = rates(make_trainer, schedule, stage, max_iter=epochs)  # four batches an epoch
    sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    torchs = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, 8, 0.01)
    expected = []
    for _ in range(8):
        sgd.step()
        torchs.step()
        expected.append(sgd.param_groups[0]["lr"])
    assert found == pytest.approx(expected)


def test_9_a_plateau_of_a_metric_to_be_maximised(make_trainer: MakeTrainer, rows: Rows) -> None:
    rising = iter(range(1, 7))

    def loss_fn(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        return mse_loss(batch, model)[0], {"score": next(rising)}

    schedule = LRSchedulerReduceOnPlateau("train_epoch_end", 1, "train_score", 0, "max", 0.5)
    settings = {"loss_fn": loss_fn, "data": [rows], "max_iter": 6}
    assert rates(make_trainer, schedule, "train_epoch_end", **settings) == [0.1] * 6
    assert schedule.best_value == 6


@pytest.mark.parametrize("kind", [LRSchedulerReduceOnPlateau, EarlyStopping])
def test_9_a_typo_in_mode_is_refused(kind: Any) -> None:
    with pytest.raises(CallbackError, match=r"'min' .* or 'max' .*, not 'mx'"):
        kind("train_epoch_end", 1, "train_loss", 2, "mx")


def test_9_the_first_epoch_is_not_left_out(make_trainer: MakeTrainer) -> None:
    schedule = LRSchedulerStepDecay("train_epoch_start", 1, 0.5)
    assert rates(make_trainer, schedule, "train_epoch_start") == [0.05, 0.025]


# 13. Information content called the loss with its arguments in the other order than fit, and
# ignored variation_multiple.


def test_13_information_content_takes_the_loss_of_fit(
    make_trainer: MakeTrainer, rows: Rows
) -> None:
    calls: list[tuple[type, type]] = []

    def loss_fn(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        calls.append((type(batch), type(model)))
        return mse_loss(batch, model)

    trainer = make_trainer(loss_fn, model=nn.Linear(2, 1), data=rows)
    trainer.fit()
    assert set(calls) == {(tuple, nn.Linear)}
    calls.clear()
    trainer.get_ic_grad_bounds(0.1, [1e-3, 10.0], 4)
    walks = [InformationContent(trainer.model, loss_fn, rows, [1e-3, 10.0], n) for n in (4, 8)]
    assert set(calls) == {(tuple, nn.Linear)}
    assert [len(walk.deltas) for walk in walks] == [4 * 3, 8 * 3]  # three parameters
