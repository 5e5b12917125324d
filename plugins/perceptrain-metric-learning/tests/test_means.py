"""Figures and steps do not depend on how the samples are split into batches, or it is warned of.

The truth is all samples in one batch.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pytorch_metric_learning import losses, reducers
from torch import nn

from perceptrain import TrainConfig, Trainer, get_loss
from perceptrain_metric_learning import EmbeddingLoss, perceptrain_losses

ROWS, CLASSES, SIZE = 10, 3, 4
RANDOM = torch.Generator().manual_seed(4)
DATA = (
    torch.randn(ROWS, 2, dtype=torch.float64, generator=RANDOM),
    torch.randint(0, CLASSES, (ROWS,), generator=RANDOM),
)
PROXIES = {"num_classes": CLASSES, "embedding_size": SIZE}
NAMES = [spec.name for spec in perceptrain_losses()]
BY_SAMPLE = [name for name in NAMES[6:] if name != "proxy_anchor"]

#: Options of a loss whose terms are those of each sample.
OPTIONS: dict[str, dict[str, Any]] = {
    "sum": {"reducer": "sum"},
    "non_zero": {"reducer": "avg_non_zero"},
    "threshold": {"reducer": {"name": "threshold", "low": 0.9, "high": 2.0}},
    "class_weighted": {"reducer": {"name": "class_weighted", "weights": [0.2, 1.0, 3.0]}},
    "per_anchor": {"reducer": "per_anchor"},
    "per_anchor_sum": {"reducer": reducers.PerAnchorReducer(reducers.SumReducer())},
    "regularized": {"embedding_regularizer": "lp", "weight_regularizer": "center_invariant"},
}
CASES = {name: (name, {}) for name in BY_SAMPLE} | {
    name: ("normalized_softmax", {"temperature": 1.0, **options})
    for name, options in OPTIONS.items()
}


def trainer_for(case: str, batch_size: int, **settings: Any) -> Trainer:
    name, options = CASES[case]
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = nn.Linear(2, SIZE).double()
        loss = get_loss(name, **PROXIES, **options).double()
    quiet = {"max_iter": 1, "shuffle": False, "verbose": False, "tracking_tool": "none"}
    config = TrainConfig(batch_size=batch_size, **{**quiet, **settings})
    optimizer = torch.optim.SGD([*model.parameters(), *loss.parameters()], lr=0.05)
    return Trainer(model, optimizer, config, loss, DATA, DATA)


@pytest.mark.parametrize("case", CASES)
def test_figures_are_those_of_one_batch(case: str) -> None:
    truth = trainer_for(case, ROWS).validate()
    assert truth["val_loss"] > 0
    for batch_size in (1, 3, 4, 9):
        assert trainer_for(case, batch_size).validate() == pytest.approx(truth, rel=1e-9)
        trainer = trainer_for(case, batch_size)
        trainer.optimizer.param_groups[0]["lr"] = 0.0
        trainer.fit()
        for name, value in truth.items():
            assert trainer.history[0][f"train_{name[4:]}"] == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("batch_size", "accumulate"), [(4, 3), (5, 2), (3, 9)])
def test_accumulated_batches_are_one_large_batch(
    case: str, batch_size: int, accumulate: int
) -> None:
    large = trainer_for(case, ROWS, max_iter=2)
    small = trainer_for(case, batch_size, max_iter=2, accumulate=accumulate)
    for trainer in (large, small):
        trainer.fit()
    pairs = zip(large.optimizer.param_groups, small.optimizer.param_groups, strict=True)
    for one, other in pairs:
        for a, b in zip(one["params"], other["params"], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "options", "whole"),
    [
        *((name, {}, True) for name in NAMES[:6]),
        *((name, PROXIES, False) for name in BY_SAMPLE),
        ("proxy_anchor", PROXIES, True),
        ("proxy_anchor", {**PROXIES, "reducer": "mean"}, True),
        ("arcface", {**PROXIES, "miner": "batch_hard"}, True),
        ("arcface", {**PROXIES, "embedding_regularizer": "lp"}, False),
        ("arcface", {**PROXIES, "embedding_regularizer": "center_invariant"}, True),
        ("arcface", {**PROXIES, "embedding_regularizer": {"name": "lp", "reducer": "sum"}}, True),
        ("arcface", {**PROXIES, "reducer": "sum", "weight_regularizer": "lp"}, True),
        ("arcface", {**PROXIES, "reducer": "sum"}, False),
    ],
)
def test_losses_that_compare_samples_say_so(
    name: str, options: dict[str, Any], whole: bool
) -> None:
    assert get_loss(name, **options).whole_batch is whole


def test_wrapped_losses_compare_samples() -> None:
    assert EmbeddingLoss(losses.NCALoss, {}).whole_batch


@pytest.mark.parametrize("name", NAMES[:6])
@pytest.mark.parametrize(
    ("labels", "message"),
    [(torch.arange(ROWS), "each in a class of its own"), (torch.ones(ROWS), "all in one class")],
)
def test_a_first_batch_without_pairs_is_warned_of(
    name: str, labels: torch.Tensor, message: str
) -> None:
    config = TrainConfig(max_iter=2, batch_size=ROWS, verbose=False, tracking_tool="none")
    model, data = nn.Linear(2, SIZE).double(), (DATA[0], labels.long())
    with pytest.warns(UserWarning, match=f"The 10 samples .* {message}") as caught:
        Trainer(model, "sgd", config, name, data).fit()
    assert [warning.filename for warning in caught] == [__file__]


def test_split_batches_are_warned_of() -> None:
    config = TrainConfig(max_iter=1, batch_size=5, accumulate=2, verbose=False)
    trainer = Trainer(nn.Linear(2, SIZE).double(), "sgd", config, "supcon", DATA)
    with pytest.warns(UserWarning, match=r"SupConLoss depends on all rows.*accumulate=2"):
        trainer.fit()
