"""Sample weights: a row with weight n is n rows, and figures are those of scikit-learn."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    explained_variance_score,
    log_loss,
    mean_absolute_error,
    mean_pinball_loss,
    mean_squared_error,
    r2_score,
)
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import TrainConfig, Trainer, get_loss, get_metric, supervised
from perceptrain.errors import DataError, ShapeError

from .test_means import CASES, IGNORED, INDICES, REAL, ROWS, X, net

TIMES = torch.tensor([1, 2, 0, 3, 1, 1, 0, 0, 2, 1])
WEIGHTS = torch.rand(ROWS, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
#: A user's own losses and criteria have no sample weights.
WEIGHTED = sorted(name for name, (loss, *_) in CASES.items() if isinstance(loss, str | dict))


def trainer_for(case: Any, batch_size: int, metrics: Any = None, **settings: Any) -> Trainer:
    loss, _, make = CASES[case] if isinstance(case, str) else case
    quiet = {"max_iter": 1, "shuffle": False, "verbose": False, "tracking_tool": "none"}
    config = TrainConfig(batch_size=batch_size, **{**quiet, **settings})
    return Trainer(make(), {"name": "sgd", "lr": 0.01}, config, loss, metrics=metrics)


def repeated(case: str) -> tuple[Tensor, Tensor]:
    return X.repeat_interleave(TIMES, 0), CASES[case][1].repeat_interleave(TIMES, 0)


# A row with weight n is n rows


@pytest.mark.parametrize(
    ("case", "batch_size"), list(zip(WEIGHTED, cycle([2, 4, ROWS]), strict=False))
)
def test_evaluations_are_those_of_repeated_rows(case: str, batch_size: int) -> None:
    truth = trainer_for(case, 100).validate(repeated(case))
    found = trainer_for(case, batch_size).validate((X, CASES[case][1], TIMES.double()))
    assert found == pytest.approx(truth, rel=1e-9)


@pytest.mark.parametrize("case", WEIGHTED)
def test_an_accumulated_step_is_that_of_repeated_rows(case: str) -> None:
    whole, parts = trainer_for(case, 100), trainer_for(case, 3, accumulate=4)
    whole.fit(repeated(case))
    parts.fit((X, CASES[case][1], TIMES.double().unsqueeze(1)))
    assert parts.global_step == whole.global_step == 1
    assert parts.history[0] == pytest.approx(whole.history[0], rel=1e-9)
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


# Figures of scikit-learn


@pytest.mark.parametrize(
    ("loss", "figure"),
    [
        ("mse", mean_squared_error),
        ("l1", mean_absolute_error),
        (
            {"name": "quantile", "quantiles": 0.3},
            lambda y, f, sample_weight: mean_pinball_loss(
                y, f, alpha=0.3, sample_weight=sample_weight
            ),
        ),
    ],
)
def test_regression_figures_are_those_of_scikit_learn(loss: Any, figure: Any) -> None:
    trainer = trainer_for((loss, REAL, net), 3)
    found = trainer.validate((X, REAL, WEIGHTS))["val_loss"]
    with torch.no_grad():
        outputs = trainer.model(X)
    assert found == pytest.approx(figure(REAL, outputs, sample_weight=WEIGHTS), rel=1e-9)


def test_classification_figures_are_those_of_scikit_learn() -> None:
    trainer = trainer_for(({"name": "cross_entropy", "accuracy": True}, INDICES, net), 4)
    found = trainer.validate((X, INDICES, WEIGHTS))
    with torch.no_grad():
        outputs = trainer.model(X).softmax(1)
    truth = {
        "val_loss": log_loss(INDICES, outputs, sample_weight=WEIGHTS),
        "val_accuracy": accuracy_score(INDICES, outputs.argmax(1), sample_weight=WEIGHTS),
    }
    assert found == pytest.approx(truth, rel=1e-9)


def test_gradients_are_those_of_the_weighted_mean() -> None:
    model, twin = net(), net()
    loss, metrics = get_loss("cross_entropy")((X, IGNORED, WEIGHTS), model)
    loss.backward()
    counts = WEIGHTS * (IGNORED != -100)
    values = F.cross_entropy(twin(X), IGNORED, reduction="none")
    truth = (WEIGHTS * values).sum() / counts.sum()
    truth.backward()
    torch.testing.assert_close(loss, truth)
    torch.testing.assert_close(metrics.count, counts.sum())
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_a_batch_without_weight_does_not_count() -> None:
    weights = torch.cat([torch.zeros(5), torch.ones(5)])
    trainer = trainer_for("mse", 5)
    trainer.fit((X, REAL, weights))
    with torch.no_grad():
        truth = F.mse_loss(net()(X[5:]), REAL[5:])
    # The first step has no gradient, so the second batch meets the initial weights.
    assert trainer.history[0]["train_loss"] == pytest.approx(truth.item(), rel=1e-9)


# What is refused


@pytest.mark.parametrize("name", ["mse", "cross_entropy"])
def test_weights_that_do_not_fit(name: str) -> None:
    loss, model = get_loss(name), net()
    labels = REAL if name == "mse" else INDICES
    with pytest.raises(ShapeError, match=r"shape \(3,\).*one weight for each row, shape \(10,\)"):
        loss((X, labels, torch.ones(3)), model)
    with pytest.raises(ShapeError, match=r"shape \(10, 3\)"):
        loss((X, labels, torch.ones(10, 3)), model)
    with pytest.raises(DataError, match=r"sample weights are a list.*group several inputs"):
        loss((X, labels, [1.0] * 10), model)
    negative = torch.linspace(-1, 1, 10)
    with pytest.raises(DataError, match="sample weights go from -1 to 1"):
        trainer_for((name, labels, net), 10).validate((X, labels, negative))


def test_losses_without_sample_weights() -> None:
    with pytest.raises(DataError, match=r"Sample weights, .* are for the built-in losses"):
        supervised(nn.MSELoss())((X, REAL, WEIGHTS), net())
    with pytest.raises(DataError, match="per_sample=True"):
        get_loss("relative_l2")((X, REAL, WEIGHTS), net())


@pytest.mark.parametrize("name", ["mse", "cross_entropy"])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_a_third_tensor_of_labels_is_refused(name: str, dtype: torch.dtype) -> None:
    message = r"third tensor .*\(inputs, labels, weights\).*\(\(input_1, input_2\), labels\)"
    batch = X, X.repeat(1, 2)[:, :3], INDICES.to(dtype)
    with pytest.raises(DataError, match=message):
        get_loss(name)(batch, net())
    trainer = trainer_for(name if name == "mse" else "classes", 5)
    with pytest.raises(DataError, match=message):
        trainer.fit(batch)


def test_metrics_over_the_data_set_refuse_it_too() -> None:
    def own(batch: Any, model: nn.Module) -> Any:
        first, second, labels = batch
        return F.cross_entropy(model(first) + model(second), labels), {}

    trainer = trainer_for((own, None, net), 5, metrics=["mae"])
    with pytest.raises(DataError, match=r"Metrics compare .* The third tensor of the batch"):
        trainer.validate((X, X, INDICES))


def test_rows_that_count_or_do_not() -> None:
    kept = WEIGHTS > 0.5
    found = trainer_for("mse", 4).validate((X, REAL, kept))
    assert found == pytest.approx(trainer_for("mse", ROWS).validate((X[kept], REAL[kept])))


# Metrics over the data set


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("mae", mean_absolute_error),
        ("mse", mean_squared_error),
        # Over rows and columns.
        ("rmse", lambda *args, **options: mean_squared_error(*args, **options) ** 0.5),
        ("r2", r2_score),
        ("explained_variance", explained_variance_score),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 4, ROWS])
def test_metrics_of_regression_are_those_of_scikit_learn(
    name: str, figure: Any, batch_size: int
) -> None:
    weights = WEIGHTS.where(WEIGHTS > 0.3, 0.0)
    trainer = trainer_for("l1", batch_size, metrics=[name])
    found = trainer.validate((X, REAL, weights))[f"val_{name}"]
    truth = figure(REAL, trainer.model(X).detach(), sample_weight=weights)
    assert found == pytest.approx(truth, rel=1e-12)


class Weighed:
    """A metric of a user, which calls the weights by another name."""

    def reset(self) -> None:
        self.total = 0.0

    def update(self, preds: Tensor, target: Tensor, weights: Tensor | None = None) -> None:
        self.total += len(preds) if weights is None else float(weights.sum())

    def compute(self) -> float:
        return self.total


def test_a_metric_gets_the_weights_if_it_takes_them() -> None:
    trainer = trainer_for("mse", 4, metrics={"total": Weighed()})
    assert trainer.validate((X, REAL, WEIGHTS))["val_total"] == pytest.approx(float(WEIGHTS.sum()))
    assert trainer.validate((X, REAL))["val_total"] == ROWS


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (WEIGHTS - 0.5, DataError, "A sample weight is -0.* of at least 0"),
        (
            torch.ones(3),
            ShapeError,
            r"shape \(3,\); expected one weight for each row, shape \(10,\)",
        ),
        ([1.0] * ROWS, DataError, "sample weights are a list"),
    ],
)
def test_weights_that_do_not_fit_a_metric(weights: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        get_metric("r2").update(REAL, REAL, weights)


# Batches that are not full


def test_drop_last_is_for_training_only() -> None:
    trainer = trainer_for("mse", 4, drop_last=True, val_every=1, max_iter=2)
    trainer.fit((X, REAL), (X, REAL))
    assert trainer.global_step == 4
    assert trainer.validate((X, REAL)) == pytest.approx(
        {"val_loss": F.mse_loss(trainer.model(X), REAL).item()}
    )
