"""Figures and steps do not depend on how the data are split into batches.

The truth is the whole data in one batch, or scikit-learn.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from itertools import cycle
from math import isnan
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import (
    FFNN,
    PINN,
    Counted,
    DictDataLoader,
    TrainConfig,
    Trainer,
    WeightedLoss,
    Weighting,
    supervised,
    to_dataloader,
)

ROWS, CLASSES = 10, 3
WEIGHTS = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64)
RANDOM = torch.Generator().manual_seed(3)
X = torch.randn(ROWS, 2, dtype=torch.float64, generator=RANDOM)
REAL = torch.randn(ROWS, CLASSES, dtype=torch.float64, generator=RANDOM)
INDICES = torch.tensor([0, 2, 1, 1, 2, 0, 0, 2, 1, 2])
IGNORED = torch.tensor([0, 2, -100, 1, 2, -100, -100, -100, 1, 2])
PIXELS = torch.randint(0, CLASSES, (ROWS, 4), generator=RANDOM)
SHARES = REAL.softmax(1)


def net(*last: nn.Module, outputs: int = CLASSES) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return nn.Sequential(FFNN([2, 5, outputs], nn.Tanh()), *last).double()


def masked(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """A user's loss that is a mean over the labels that are positive."""
    inputs, labels = batch
    mask = labels > 0
    errors = (model(inputs) - labels).where(mask, 0.0)
    number = mask.sum()
    return errors.square().sum() / number, Counted({"mae": errors.abs().sum() / number}, number)


def two_terms(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """Terms with means of their own: over rows, and over the weights of the labels."""
    outputs, labels = model(batch[0]), batch[1]
    terms = {"size": outputs.square().mean(), "ce": F.cross_entropy(outputs, labels, WEIGHTS)}
    counts = {"size": len(labels), "ce": WEIGHTS[labels].sum()}
    factors = {"size": 0.5, "ce": 2.0}
    return 0.5 * terms["size"] + 2 * terms["ce"], Counted(terms, counts, factors)


def late(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """A mean over some rows, of which the first batches have none."""
    inputs, labels = batch
    mask = labels[:, 0] == 1
    number = mask.sum()
    errors = model(inputs).where(mask[:, None], 0.0).abs().sum() / number.clamp(min=1)
    return errors, Counted({}, number)


#: Losses, labels and models.
CASES: dict[str, tuple[Any, Any, Callable[[], nn.Module]]] = {
    "mse": ("mse", REAL, net),
    "l1": ("l1", REAL, net),
    "smooth_l1": ("smooth_l1", REAL, net),
    "huber": ("huber", REAL, net),
    "quantile": ("quantile", REAL, net),
    "relative_l2": ({"name": "relative_l2", "per_sample": True}, REAL, net),
    "bce": ("bce_with_logits", SHARES, net),
    "soft_margin": ("soft_margin", REAL.sign(), net),
    "kl_div": ("kl_div", SHARES, partial(net, nn.LogSoftmax(1))),
    "batchmean": (
        {"name": "kl_div", "reduction": "batchmean"},
        SHARES,
        partial(net, nn.LogSoftmax(1)),
    ),
    "poisson": ("poisson_nll", REAL.abs().round(), net),
    "gaussian": ("gaussian_nll", REAL, partial(net, outputs=2 * CLASSES)),
    "multi_margin": ("multi_margin", INDICES, net),
    "classes": ({"name": "cross_entropy", "accuracy": True}, INDICES, net),
    "ignored": ({"name": "cross_entropy", "accuracy": True}, IGNORED, net),
    "class_weights": (
        {"name": "cross_entropy", "weight": WEIGHTS, "ignore_index": 1, "accuracy": True},
        INDICES,
        net,
    ),
    "smoothing": (
        {"name": "cross_entropy", "weight": WEIGHTS, "label_smoothing": 0.2},
        IGNORED,
        net,
    ),
    "probabilities": ({"name": "cross_entropy", "accuracy": True}, SHARES, net),
    "pixels": (
        {"name": "cross_entropy", "ignore_index": 2, "weight": WEIGHTS},
        PIXELS,
        partial(net, nn.Unflatten(1, (CLASSES, 4)), outputs=4 * CLASSES),
    ),
    "nll": (
        {"name": "nll", "weight": WEIGHTS},
        IGNORED,
        partial(net, nn.LogSoftmax(1)),
    ),
    "criterion": (nn.CrossEntropyLoss(WEIGHTS), IGNORED, net),
    "function": (supervised(partial(F.cross_entropy, ignore_index=1)), INDICES, net),
    "sum": ({"name": "mse", "reduction": "sum"}, REAL, net),
    "class_sum": (
        {"name": "cross_entropy", "reduction": "sum", "accuracy": True},
        IGNORED,
        net,
    ),
    "criterion_sum": (nn.HuberLoss(reduction="sum"), REAL, net),
    "masked": (masked, REAL, net),
    "two_terms": (two_terms, INDICES, net),
    "late": (late, (torch.arange(ROWS) > 5).double()[:, None], net),
    "rows": (lambda b, m: (F.mse_loss(m(b[0]), b[1]), {}), REAL, net),
}


#: The rows of a batch, and how many batches are accumulated.
SIZES = [(4, 3), (5, 2), (3, 9)]


def trainer_for(case: str, batch_size: int, optimizer: str = "sgd", **settings: Any) -> Trainer:
    loss, labels, make = CASES[case]
    quiet = {"max_iter": 1, "shuffle": False, "verbose": False, "tracking_tool": "none"}
    config = TrainConfig(batch_size=batch_size, **{**quiet, **settings})
    data = X, labels
    options = {"name": optimizer, "lr": 0.01}
    return Trainer(make(), options, config, loss, data, data, data)


@pytest.mark.parametrize(("case", "batch_size"), list(zip(CASES, cycle([3, 4, 9]), strict=False)))
def test_evaluations_are_those_of_one_batch(case: str, batch_size: int) -> None:
    truth = trainer_for(case, ROWS).validate()
    trainer = trainer_for(case, batch_size)
    assert trainer.validate() == pytest.approx(truth, rel=1e-9)
    means = {f"val_{name[5:]}": value for name, value in trainer.test().means.items()}
    assert means == pytest.approx(truth, rel=1e-9)


@pytest.mark.parametrize(("case", "batch_size"), list(zip(CASES, cycle([4, 3]), strict=False)))
def test_an_epoch_has_the_means_of_one_batch(case: str, batch_size: int) -> None:
    def row(size: int) -> dict[str, float]:
        trainer = trainer_for(case, size)
        trainer.optimizer.param_groups[0]["lr"] = 0.0
        trainer.fit()
        return dict(trainer.history[0])

    assert row(batch_size) == pytest.approx(row(ROWS), rel=1e-9)


@pytest.mark.parametrize(
    ("case", "optimizer", "batch_size", "accumulate"),
    [
        *((case, "sgd", *sizes) for case, sizes in zip(CASES, cycle(SIZES), strict=False)),
        ("class_weights", "lbfgs", 4, 3),
        ("sum", "lbfgs", 5, 2),
    ],
)
def test_accumulated_batches_are_one_large_batch(
    case: str, optimizer: str, batch_size: int, accumulate: int
) -> None:
    large, small = (
        trainer_for(case, ROWS, optimizer, max_iter=2),
        trainer_for(case, batch_size, optimizer, max_iter=2, accumulate=accumulate),
    )
    for trainer in (large, small):
        trainer.fit()
    for a, b in zip(large.model.parameters(), small.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
    assert small.global_step == large.global_step == 2


@given(sizes=st.lists(st.integers(1, 7), min_size=1, max_size=8), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_any_batches_and_any_ignored_labels(sizes: list[int], seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    batches = []
    for size in sizes:
        labels = torch.randint(0, CLASSES, (size,), generator=random)
        labels[torch.rand(size, generator=random) < 0.5] = -100
        labels[0] = 1  # at least one that counts
        batches.append((torch.randn(size, 2, dtype=torch.float64, generator=random), labels))
    whole = tuple(torch.cat(parts) for parts in zip(*batches, strict=True))
    loss = {"name": "cross_entropy", "weight": WEIGHTS, "accuracy": True}
    config = TrainConfig(verbose=False, tracking_tool="none")
    trainer = Trainer(net(), None, config, loss)
    assert trainer.validate(batches) == pytest.approx(trainer.validate([whole]), rel=1e-9)


def test_sklearn_computes_the_same(here: Path) -> None:
    trainer = trainer_for("classes", 4)
    row = trainer.validate()
    logits = trainer.model(X).detach()
    assert row["val_accuracy"] == accuracy_score(INDICES, logits.argmax(1))
    assert row["val_loss"] == pytest.approx(log_loss(INDICES, logits.softmax(1)))
    weighted = trainer_for("class_weights", 3).validate()["val_loss"]
    kept = INDICES != 1
    truth = log_loss(
        INDICES[kept],
        logits.softmax(1)[kept],
        labels=range(3),
        sample_weight=WEIGHTS[INDICES[kept]],
    )
    assert weighted == pytest.approx(truth)


# Terms with different numbers of points.


def pinn() -> PINN:
    return PINN(net(outputs=1), {"inner": lambda x, u: u(x) - x[:, :1], "edge": lambda x, u: u(x)})


def points(batch_size: int = 10) -> DictDataLoader:
    random = torch.Generator().manual_seed(8)
    parts = {
        name: torch.randn(rows, 2, dtype=torch.float64, generator=random)
        for name, rows in (("inner", 15), ("edge", 7))
    }
    return DictDataLoader({n: to_dataloader(p, batch_size=batch_size) for n, p in parts.items()})


@pytest.mark.parametrize("weighting", [None, "relobralo"])
@pytest.mark.parametrize("batch_size", [2, 4, 7, 10])
def test_each_term_is_a_mean_over_its_own_points(weighting: str | None, batch_size: int) -> None:
    config = TrainConfig(verbose=False, tracking_tool="none")
    loss = "mse" if weighting is None else WeightedLoss("mse", {"name": weighting})
    if weighting is not None:
        loss._weights = {"edge": torch.tensor(3.0, dtype=torch.float64)}
    trainer = Trainer(pinn(), None, config, loss)
    assert trainer.validate(points(batch_size)) == pytest.approx(trainer.validate(points(15)))


def test_points_that_a_validation_sees_twice_count_once() -> None:
    x = torch.arange(9.0, dtype=torch.float64)[:, None].expand(9, 2)
    parts = {"inner": torch.cat([x, x]), "edge": x}

    def validated(batch_size: int) -> dict[str, float]:
        loaders = {n: to_dataloader(p, batch_size=batch_size) for n, p in parts.items()}
        trainer = Trainer(pinn(), None, TrainConfig(verbose=False, tracking_tool="none"))
        return trainer.validate(DictDataLoader(loaders))

    # In batches of 4 the edge ends after 3 batches, and the inner points after 5.
    assert validated(4) == pytest.approx(validated(18))


@pytest.mark.parametrize("loss", ["mse", nn.L1Loss()])
def test_accumulated_terms_are_means_over_their_own_points(loss: Any) -> None:
    def trained(batch_size: int, accumulate: int) -> Tensor:
        model = pinn()
        quiet = {"max_iter": 3, "verbose": False, "tracking_tool": "none"}
        config = TrainConfig(accumulate=accumulate, **quiet)
        Trainer(model, {"name": "sgd", "lr": 0.05}, config, loss).fit(points(batch_size))
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    # Batches of 10 and 7 points, then of 5 and 7: the whole has 15 and 14 points.
    torch.testing.assert_close(trained(10, 2), trained(15, 1), rtol=1e-9, atol=1e-12)


def test_a_run_file_reports_the_mean_over_the_test_rows(here: Path) -> None:
    from perceptrain_core.runs.build import build_run
    from perceptrain_core.runs.read import read_run_file

    Path("run.toml").write_text(
        """
        [data]
        name = "breast_cancer"
        standardize = true
        val_fraction = 0.2
        test_fraction = 0.2
        [model]
        name = "ffnn"
        layers = [30, 8, 2]
        [loss]
        name = "cross_entropy"
        accuracy = true
        [optimizer]
        name = "adam"
        lr = 0.01
        [train]
        max_iter = 2
        batch_size = 113
        verbose = false
        """
    )
    path = Path("run.toml")
    run = build_run(read_run_file(path), path)
    folder = run.train()
    results = run.test()
    inputs, labels = next(iter(to_dataloader(*run.splits.test, batch_size=10_000)))
    with torch.no_grad():
        logits = run.trainer.model.eval()(inputs)
    assert len(inputs) % 113 == 1
    truth = accuracy_score(labels, logits.argmax(1))
    assert results["test_accuracy"] == pytest.approx(truth, rel=1e-7)
    assert results["test_loss"] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-6)
    assert json.loads((folder / "test.json").read_text()) == results


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("case", ["ignored", "class_sum", "criterion"])
def test_a_batch_in_which_nothing_counts_changes_no_mean(
    case: str, batch_size: int, recwarn: pytest.WarningsRecorder
) -> None:
    inputs, labels = X[4:], IGNORED[4:]  # labels 2, then four that do not count, then 1 and 2
    truth = trainer_for(case, ROWS).validate((inputs, labels))
    trainer = trainer_for(case, batch_size)
    assert trainer.validate((inputs, labels)) == pytest.approx(truth, rel=1e-9)
    means = trainer.test((inputs, labels)).means
    assert means == pytest.approx({f"test_{n[4:]}": value for n, value in truth.items()})
    assert not recwarn.list


def test_a_validation_in_which_nothing_counts_is_reported() -> None:
    with pytest.warns(UserWarning, match="val_loss is NaN: nothing counted in the loss"):
        row = trainer_for("criterion", 1).validate((X[5:8], IGNORED[5:8]))
    assert isnan(row["val_loss"])


def few(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """A user's loss over few labels, 0 in a batch without them."""
    inputs, labels = batch
    errors = (model(inputs) - labels)[labels > 1]
    count = len(errors)
    return errors.square().sum() / max(count, 1), Counted({}, count)


def two_heads(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """A user's loss of terms that count other labels, of rows, and of a sum."""
    inputs, labels = batch
    errors = model(inputs) - labels
    few = errors[labels > 0.8]
    terms = {
        "few": few.square().sum() / max(len(few), 1),
        "rows": errors.abs().mean(),
        "sum": errors.square().sum(),
    }
    loss = terms["few"] + 2 * terms["rows"] + terms["sum"]
    return loss, Counted(
        terms, {"few": len(few), "sum": None}, {"few": 1.0, "rows": 2.0, "sum": 1.0}
    )


@pytest.mark.parametrize("loss", [few, two_heads])
@pytest.mark.parametrize("optimizer", ["sgd", "lbfgs"])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_accumulated_batches_without_a_label_that_counts(
    loss: Any, optimizer: str, batch_size: int
) -> None:
    def fit(size: int) -> tuple[nn.Module, dict[str, float]]:
        config = TrainConfig(
            max_iter=1,
            shuffle=False,
            verbose=False,
            tracking_tool="none",
            batch_size=size,
            accumulate=ROWS,
        )
        options = {"name": optimizer, "lr": 0.01}
        trainer = Trainer(net(), options, config, loss, (X, REAL.sort(dim=0).values))
        trainer.fit()
        return trainer.model, dict(trainer.history[0])

    (large, truth), (small, row) = fit(ROWS), fit(batch_size)
    assert row == pytest.approx(truth, rel=1e-9)
    for a, b in zip(large.parameters(), small.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_metrics_that_are_added_keep_the_counts() -> None:
    metrics = Counted({"mae": 1.0}, {"mae": 3}, {"mae": 2.0}) | {"other": 2.0}
    assert metrics == {"mae": 1.0, "other": 2.0}
    assert (metrics.count, metrics.terms) == ({"mae": 3}, {"mae": 2.0})


class GivenWeights(Weighting):
    """Weights that do not depend on the batch, with or without the gradients of the terms."""

    def __init__(self, uses_gradients: bool) -> None:
        super().__init__()
        self.uses_gradients = uses_gradients

    def update(self, terms: Any, grads: Any) -> dict[str, Tensor]:
        if self.uses_gradients:
            grads()
        return {"edge": torch.tensor(3.0, dtype=torch.float64)}


@pytest.mark.parametrize("uses_gradients", [True, False])
def test_accumulated_terms_with_weights_are_means_over_their_own_points(
    uses_gradients: bool,
) -> None:
    def trained(batch_size: int, accumulate: int) -> Tensor:
        model = pinn()
        quiet = {"max_iter": 3, "verbose": False, "tracking_tool": "none"}
        config = TrainConfig(accumulate=accumulate, **quiet)
        loss = WeightedLoss("mse", GivenWeights(uses_gradients))
        Trainer(model, {"name": "sgd", "lr": 0.05}, config, loss).fit(points(batch_size))
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    torch.testing.assert_close(trained(10, 2), trained(15, 1), rtol=1e-9, atol=1e-12)
