"""The metrics of retrieval, against pytorch-metric-learning, whatever the batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from torch import Tensor, nn

from perceptrain import TrainConfig, Trainer, get_metric
from perceptrain.errors import ConfigError, DataError, ShapeError
from perceptrain.testing import check_metric
from perceptrain_metric_learning import precision_at_1


def samples() -> tuple[Tensor, Tensor]:
    """Thirty embeddings of five classes of different size."""
    labels = torch.tensor([0] * 2 + [1] * 3 + [2] * 5 + [3] * 8 + [4] * 12)
    random = torch.Generator().manual_seed(0)
    order = torch.randperm(30, generator=random)
    centers = torch.randn(5, 4, generator=random)
    noise = torch.randn(30, 4, generator=random)
    return (centers[labels] + noise)[order], labels[order]


def over(name: str, embeddings: Tensor, labels: Tensor, size: int = 7, **options: Any) -> float:
    metric = get_metric(name, **options)
    for batch in zip(embeddings.split(size), labels.split(size), strict=True):
        metric.update(*batch)
    return float(metric.compute())


@pytest.mark.parametrize("size", [1, 7, 30])
def test_as_in_pytorch_metric_learning(size: int) -> None:
    calculator = AccuracyCalculator(
        include=("mean_average_precision_at_r", "precision_at_1"),
        device=torch.device("cpu"),
        knn_func=CustomKNN(CosineSimilarity()),
        kmeans_func=len,
    )
    truth = calculator.get_accuracy(*samples())
    found = over("map_at_r", *samples(), size)
    assert found == pytest.approx(truth["mean_average_precision_at_r"])
    assert over("recall_at_k", *samples(), size) == pytest.approx(truth["precision_at_1"])
    assert precision_at_1(*samples()) == pytest.approx(truth["precision_at_1"])


@pytest.mark.parametrize("k", [1, 3, 29, 100])
def test_recall_at_k_by_its_definition(k: int) -> None:
    embeddings, labels = samples()
    cosines = nn.functional.cosine_similarity(embeddings[:, None], embeddings[None], dim=-1)
    hits = 0
    for row, label in enumerate(labels):
        nearest = [other for other in cosines[row].argsort(descending=True) if other != row][:k]
        hits += any(labels[other] == label for other in nearest)
    assert over("recall_at_k", embeddings, labels, k=k) == hits / 30


def test_samples_that_are_alone_count_as_misses() -> None:
    embeddings, labels = torch.eye(3), torch.tensor([0, 1, 2])
    assert over("map_at_r", embeddings, labels) == over("recall_at_k", embeddings, labels) == 0
    assert over("map_at_r", torch.ones(4, 2), torch.zeros(4).long()) == 1


@pytest.mark.parametrize("name", ["map_at_r", "recall_at_k"])
def test_the_contract_and_errors(name: str) -> None:
    metric = get_metric(name)
    check_metric(metric, *samples())
    half = over(name, samples()[0].bfloat16(), samples()[1])
    assert half == pytest.approx(over(name, *samples()), abs=0.1)
    with pytest.raises(DataError, match="has seen no embeddings"):
        metric.compute()
    with pytest.raises(ShapeError, match=r"expected \(N, d\) and \(N,\)"):
        metric.update(torch.randn(3, 2), torch.zeros(2))
    with pytest.raises(DataError, match="expected a tensor of a floating dtype"):
        metric.update(torch.ones(3, 2).long(), torch.zeros(3))
    metric.update(torch.ones(1, 2), torch.zeros(1))
    with pytest.raises(DataError, match="expected at least 2"):
        metric.compute()


@pytest.mark.parametrize("k", [0, 1.5, True])
def test_a_wrong_k(k: Any) -> None:
    with pytest.raises(ConfigError, match="expected a whole number of at least 1"):
        get_metric("recall_at_k", k=k)


def test_in_a_validation() -> None:
    embeddings, labels = samples()
    config = TrainConfig(batch_size=10, verbose=False, tracking_tool="none")
    trainer = Trainer(
        nn.Identity(),
        None,
        config,
        "supcon",
        val_dataloader=(embeddings, labels),
        metrics={"at_1": "recall_at_k", "at_4": {"name": "recall_at_k", "k": 4}},
    )
    row = trainer.validate()
    assert row["val_at_1"] == pytest.approx(precision_at_1(embeddings, labels))
    assert row["val_at_4"] == pytest.approx(over("recall_at_k", embeddings, labels, k=4))
