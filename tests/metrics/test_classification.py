"""Metrics of classification against scikit-learn, whatever the batches."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn
from torch import Tensor

from perceptrain import get_metric
from perceptrain.errors import (
    ConfigError,
    DataError,
    MissingDependencyError,
    OptionError,
    ShapeError,
)

from .conftest import Over

N, C = 61, 4
SIZES = [1, 10, 12, N]  # of the last batch: 1, 1, 1 and all


def multiclass() -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(C, (N,), generator=random)
    noise = torch.randn(N, C, generator=random)
    return noise + 1.5 * torch.nn.functional.one_hot(labels, C), labels


def binary() -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    labels = (torch.rand(N, generator=random) < 0.3).long()
    return torch.randn(N, generator=random) + labels - 0.5, labels


def multilabel() -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(2)
    labels = (torch.rand(N, C, generator=random) < 0.4).float()
    return torch.randn(N, C, generator=random) + labels - 0.5, labels


def two_scores(scores: Tensor) -> Tensor:
    """Return the logits of two classes whose probabilities are those of one logit."""
    return torch.stack([-scores / 2, scores / 2], dim=1)


Truth = Callable[[np.ndarray, np.ndarray, np.ndarray], float]
AVERAGED: dict[str, Callable[..., float]] = {
    "precision": sklearn.precision_score,
    "recall": sklearn.recall_score,
    "f1": sklearn.f1_score,
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("name", AVERAGED)
@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_averages_over_classes(over: Over, task: str, name: str, average: str, size: int) -> None:
    outputs, labels = multiclass() if task == "multiclass" else multilabel()
    decided = outputs.argmax(1) if task == "multiclass" else outputs > 0
    truth = AVERAGED[name](labels.numpy(), decided.numpy(), average=average)
    assert float(over(name, outputs, labels, size, average=average)) == pytest.approx(
        truth, rel=1e-6
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", AVERAGED)
def test_binary(over: Over, name: str, size: int) -> None:
    outputs, labels = binary()
    truth = AVERAGED[name](labels.numpy(), (outputs > 0).numpy())
    assert float(over(name, outputs, labels, size)) == pytest.approx(truth, rel=1e-6)


@pytest.mark.parametrize("shape", [(N,), (N, 1)])
@pytest.mark.parametrize("threshold", [0.5, 0.3])
@pytest.mark.parametrize("average", ["macro", "micro", "weighted", "none"])
@pytest.mark.parametrize("name", AVERAGED)
def test_an_average_of_a_binary_task_counts_both_classes(
    over: Over, name: str, average: str, threshold: float, shape: tuple[int, ...]
) -> None:
    scores, labels = binary()
    decided = (scores.sigmoid() > threshold).numpy()
    options = {"average": average, "threshold": threshold}
    truth = AVERAGED[name](labels.numpy(), decided, average=None if average == "none" else average)
    for outputs, size in itertools.product((scores.reshape(shape), two_scores(scores)), SIZES):
        task = "binary" if outputs.shape == (N, 2) else None
        found = over(name, outputs, labels, size, task=task, **options)
        assert found.tolist() == pytest.approx(truth, rel=1e-12)
    soft = over(name, scores.sigmoid(), labels, outputs="probabilities", **options)
    assert soft.tolist() == pytest.approx(truth, rel=1e-12)
    marked = labels.clone()
    marked[::3] = -100
    kept = (marked >= 0).numpy()
    truth = AVERAGED[name](
        labels[kept], decided[kept], average=None if average == "none" else average
    )
    found = over(name, scores.reshape(shape), marked.reshape(shape), ignore_index=-100, **options)
    assert found.tolist() == pytest.approx(truth, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "average"),
    [
        *itertools.product(
            ["accuracy", "precision", "recall", "f1", "auroc", "average_precision"],
            ["macro", "weighted", "none"],
        ),
        *itertools.product(["accuracy", "precision", "recall", "f1"], ["micro"]),
    ],
)
def test_one_score_and_two_have_the_same_average(over: Over, name: str, average: str) -> None:
    scores, labels = binary()
    labels[:6] = -1
    options = {"average": average, "ignore_index": -1}
    found = over(name, scores, labels, **options)
    assert torch.allclose(found, over(name, two_scores(scores), labels, **options), rtol=1e-6)
    shares: list[Any] = [get_metric(name, **options) for _ in range(2)]
    shares[0].update(scores[:20, None], labels[:20])
    shares[1].update(scores[20:, None], labels[20:])
    shares[0].merge_state(shares[1])
    assert torch.allclose(shares[0].compute(), found)


def test_averages_of_scores_of_a_binary_task(over: Over) -> None:
    scores, labels = binary()
    decided = scores > 0
    found = over("accuracy", scores, labels, average="macro")
    assert float(found) == pytest.approx(sklearn.balanced_accuracy_score(labels, decided))
    each = [
        sklearn.average_precision_score(1 - labels, -scores),
        sklearn.average_precision_score(labels, scores),
    ]
    found = over("average_precision", scores, labels, average="none")
    assert found.tolist() == pytest.approx(each, rel=1e-6)
    found = over("average_precision", scores, labels, average="weighted")
    weights = torch.bincount(labels)
    assert float(found) == pytest.approx(np.average(each, weights=weights), rel=1e-6)
    area = sklearn.roc_auc_score(labels, scores)
    assert over("auroc", scores, labels, average="none").tolist() == pytest.approx([area] * 2)
    # Of class 0, these differ only if the logits are very negative.
    low, truths = -60 + torch.arange(20.0), torch.arange(20) // 10
    assert over("average_precision", low, truths, average="none").tolist() == [1, 1]


def test_an_average_of_one_class_alone(over: Over) -> None:
    outputs, labels = torch.randn(9), torch.zeros(9).long()
    for average in ("macro", "weighted"):
        truth = sklearn.f1_score(labels, outputs > 0, average=average)
        assert float(over("f1", outputs, labels, average=average)) == pytest.approx(truth)
    assert over("average_precision", outputs, labels, average="macro") == pytest.approx(1)


@pytest.mark.parametrize("size", SIZES)
def test_scores(over: Over, size: int) -> None:
    outputs, labels = multiclass()
    soft = outputs.double().softmax(1)
    found = {name: float(over(name, outputs, labels, size)) for name in ("accuracy", "auroc")}
    assert found["accuracy"] == pytest.approx(sklearn.accuracy_score(labels, outputs.argmax(1)))
    truth = sklearn.roc_auc_score(labels, soft, multi_class="ovr")
    assert found["auroc"] == pytest.approx(truth, rel=1e-6)
    precision = float(over("average_precision", outputs, labels, size))
    assert precision == pytest.approx(sklearn.average_precision_score(labels, soft), rel=1e-6)
    matrix = over("confusion_matrix", outputs, labels, size)
    assert matrix.tolist() == sklearn.confusion_matrix(labels, outputs.argmax(1)).tolist()


@pytest.mark.parametrize("size", SIZES)
def test_scores_of_a_binary_task(over: Over, size: int) -> None:
    outputs, labels = binary()
    truths = {
        "accuracy": sklearn.accuracy_score(labels, outputs > 0),
        "auroc": sklearn.roc_auc_score(labels, outputs),
        "average_precision": sklearn.average_precision_score(labels, outputs),
        "calibration_error": calibration(outputs.double().sigmoid(), labels, bins=15),
    }
    for name, truth in truths.items():
        assert float(over(name, outputs, labels, size)) == pytest.approx(truth, rel=1e-5), name
    matrix = over("confusion_matrix", outputs, labels, size)
    assert matrix.tolist() == sklearn.confusion_matrix(labels, outputs > 0).tolist()


def calibration(probabilities: Tensor, labels: Tensor, bins: int) -> float:
    """Return the expected calibration error of class 1, by its definition."""
    total = 0.0
    for low in torch.arange(bins) / bins:
        inside = (probabilities > low) & (probabilities <= low + 1 / bins)
        if inside.any():
            gap = probabilities[inside].mean() - labels[inside].double().mean()
            total += inside.sum().item() / len(labels) * abs(gap.item())
    return total


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_scores_of_several_labels(over: Over, average: str) -> None:
    outputs, labels = multilabel()
    soft = outputs.double().sigmoid()
    truth = sklearn.roc_auc_score(labels, soft, average=average)
    assert float(over("auroc", outputs, labels, average=average)) == pytest.approx(truth)
    truth = sklearn.average_precision_score(labels, soft, average=average)
    found = over("average_precision", outputs, labels, average=average)
    assert float(found) == pytest.approx(truth, rel=1e-6)


def test_means_leave_out_classes_without_a_curve(over: Over) -> None:
    outputs, labels = multiclass()
    kept = labels != 1
    outputs, labels = outputs[kept], labels[kept]
    soft, present = outputs.double().softmax(1), (0, 2, 3)
    for name, truth in {
        "auroc": sklearn.roc_auc_score,
        "average_precision": sklearn.average_precision_score,
    }.items():
        each = over(name, outputs, labels, average="none")
        truths = [truth(labels == number, soft[:, number]) for number in present]
        assert each[list(present)].tolist() == pytest.approx(truths, rel=1e-6)
        assert each[1].isnan()
        assert float(over(name, outputs, labels)) == pytest.approx(np.mean(truths), rel=1e-6)
        weights = torch.bincount(labels)[list(present)]
        found = over(name, outputs, labels, average="weighted")
        assert float(found) == pytest.approx(np.average(truths, weights=weights), rel=1e-6)
    zeros = torch.zeros(5)
    assert over("auroc", torch.randn(5), zeros).isnan()
    assert over("average_precision", torch.randn(5), zeros).isnan()
    assert over("average_precision", torch.randn(5), zeros + 1) == pytest.approx(1)


def test_confident_logits_keep_their_order(over: Over) -> None:
    # In float32 the sigmoid of all these is 1, and the area would be one half.
    outputs, labels = 17 + torch.arange(20.0) / 2, torch.arange(20) // 10
    assert over("auroc", outputs, labels) == 1


@pytest.mark.parametrize("name", ["accuracy", "precision", "f1", "auroc", "confusion_matrix"])
def test_probabilities_are_the_logits_after_a_softmax(over: Over, name: str) -> None:
    for outputs, labels in (binary(), multilabel(), multiclass()):
        soft = outputs.softmax(1) if outputs.ndim > 1 and labels.ndim == 1 else outputs.sigmoid()
        found = over(name, soft, labels, outputs="probabilities")
        assert torch.allclose(found.double(), over(name, outputs, labels).double())


def test_log_probabilities_are_logits_too(over: Over) -> None:
    outputs, labels = multiclass()
    assert over("auroc", outputs.log_softmax(1), labels) == pytest.approx(
        over("auroc", outputs, labels)
    )


def test_two_columns_as_a_binary_task(over: Over) -> None:
    outputs, labels = binary()
    two = torch.stack([torch.zeros(N), outputs], dim=1)
    for form in (two, two.softmax(1).log()):
        assert over("f1", form, labels, task="binary") == over("f1", outputs, labels)
    soft = over("f1", two.softmax(1), labels, task="binary", outputs="probabilities")
    assert soft == over("f1", outputs, labels)
    # By default they are two classes, whose mean differs.
    truth = sklearn.f1_score(labels, outputs > 0, average="macro")
    assert float(over("f1", two, labels)) == pytest.approx(truth, rel=1e-6)


@pytest.mark.parametrize(
    ("outputs", "labels"),
    [
        (torch.Size([N, 1]), torch.Size([N])),
        (torch.Size([N, 1]), torch.Size([N, 1])),
        (torch.Size([N]), torch.Size([N, 1])),
    ],
)
def test_one_column_may_lack_its_dimension(over: Over, outputs: Any, labels: Any) -> None:
    scores, truth = binary()
    found = over("f1", scores.reshape(outputs), truth.reshape(labels).bool())
    assert found == over("f1", scores, truth.float())


def test_pixels_are_rows(over: Over) -> None:
    random = torch.Generator().manual_seed(3)
    scores, labels = torch.randn(6, C, 5, 2, generator=random), torch.randint(C, (6, 5, 2))
    truth = sklearn.f1_score(labels.flatten(), scores.argmax(1).flatten(), average="macro")
    assert float(over("f1", scores, labels, 4)) == pytest.approx(truth, rel=1e-6)
    mask = labels[:, None] == 0
    truth = sklearn.f1_score(mask.flatten(), (scores[:, :1] > 0).flatten())
    assert float(over("f1", scores[:, :1], mask, 4)) == pytest.approx(truth, rel=1e-6)
    assert over("f1", scores[:, :1], mask.squeeze(1), 4) == over("f1", scores[:, :1], mask, 4)


def test_one_hot_labels_and_ignored_ones(over: Over) -> None:
    outputs, labels = multiclass()
    hot = torch.nn.functional.one_hot(labels, C).float()
    assert over("f1", outputs, hot, task="multiclass") == over("f1", outputs, labels)
    marked = labels.clone()
    marked[::3] = -100
    kept = marked >= 0
    found = over("f1", outputs, marked, ignore_index=-100)
    assert found == over("f1", outputs[kept], labels[kept])


def test_options_reach_torchmetrics(over: Over) -> None:
    outputs, labels = multiclass()
    truth = sklearn.top_k_accuracy_score(labels, outputs, k=2)
    assert float(over("accuracy", outputs, labels, top_k=2)) == pytest.approx(truth)
    truth = sklearn.recall_score(labels, outputs.argmax(1), average=None)
    assert over("recall", outputs, labels, average="none").tolist() == pytest.approx(
        truth, rel=1e-6
    )
    matrix = over("confusion_matrix", outputs, labels, normalize="true")
    expected = sklearn.confusion_matrix(labels, outputs.argmax(1), normalize="true")
    assert torch.allclose(matrix.double(), torch.as_tensor(expected))
    scores, truths = binary()
    soft = scores.sigmoid()
    expected = sklearn.f1_score(truths, soft > 0.3)
    assert float(over("f1", scores, truths, threshold=0.3)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["f1", "auroc", "calibration_error", "confusion_matrix"])
def test_merging_two_shares_is_the_whole(over: Over, name: str) -> None:
    outputs, labels = multiclass()
    shares: list[Any] = [get_metric(name) for _ in range(3)]
    shares[0].update(outputs[:20], labels[:20])
    shares[1].update(outputs[20:], labels[20:])  # the third has seen nothing
    shares[2].merge_state(shares[0])
    shares[2].merge_state(shares[1].to("cpu"))
    shares[2].merge_state(get_metric(name))
    whole = over(name, outputs, labels)
    assert torch.allclose(shares[2].compute().double(), whole.double())


def test_a_nan_output_shows_in_the_value(over: Over) -> None:
    outputs, labels = multiclass()
    outputs[3, 1] = torch.nan
    assert over("accuracy", outputs, labels).isnan()
    assert over("confusion_matrix", outputs, labels).isnan().all()
    assert over("f1", outputs.softmax(1), labels, outputs="probabilities").isnan()


def test_a_reset_forgets_the_task(over: Over) -> None:
    metric = get_metric("f1")
    for outputs, labels in (multiclass(), binary(), multilabel()):
        metric.reset()
        metric.update(outputs, labels)
        assert metric.compute() == over("f1", outputs, labels)
    metric.reset()
    metric.update(torch.ones(0, 3), torch.ones(0).long())
    with pytest.raises(DataError, match="has seen no rows"):
        metric.compute()


def test_probabilities_taken_for_logits(over: Over) -> None:
    outputs, labels = multiclass()
    with pytest.raises(DataError, match=r'outputs of the model are probabilities.*outputs="prob'):
        over("accuracy", outputs.softmax(1), labels)
    outputs, labels = binary()
    with pytest.warns(UserWarning, match="expects logits, and all outputs .* between 0 and 1"):
        over("accuracy", outputs.sigmoid(), labels)
    with warnings.catch_warnings():  # a few rows may be between 0 and 1 by chance
        over("accuracy", outputs[:3].sigmoid(), labels[:3])


def test_logits_taken_for_probabilities(over: Over) -> None:
    for outputs, labels in (binary(), multiclass(), multilabel()):
        with pytest.raises(DataError, match=r"expected values between 0 and 1.*outputs=\"logits\""):
            over("f1", outputs, labels, outputs="probabilities")


@pytest.mark.parametrize(
    ("outputs", "labels", "options", "error", "message"),
    [
        (torch.randn(5, 3), torch.arange(5), {}, DataError, "A label is 3, .* classes 0 to 2"),
        (torch.randn(5), torch.arange(5) - 1, {}, DataError, "A label is -1"),
        (torch.randn(5), torch.full((5,), 0.5), {}, DataError, "A label is 0.5"),
        (torch.randn(5, 3), torch.ones(5), {}, DataError, "torch.float32; expected class indices"),
        (torch.randn(5, 3), torch.ones(4).long(), {}, ShapeError, r"\(5, 3\) .* shape \(4,\)"),
        (torch.randn(5), torch.ones(4), {}, ShapeError, "expected for the task binary"),
        (torch.randn(5, 3), torch.ones(5).long(), {"task": "binary"}, ShapeError, "binary"),
        (torch.randn(5), torch.ones(5), {"task": "multilabel"}, ShapeError, "multilabel"),
        (torch.randn(5, 1), torch.ones(5), {"task": "multiclass"}, ShapeError, "multiclass"),
        (torch.ones(5).long(), torch.ones(5), {}, DataError, "expected floats"),
        ({"u": 1}, torch.ones(5), {}, DataError, "model's output is a dict"),
        (torch.randn(5), None, {}, DataError, "label is None; expected a tensor"),
        (torch.tensor(1.0), torch.ones(1), {}, DataError, "expected a tensor with a row each"),
    ],
)
def test_data_that_do_not_fit(
    outputs: Any, labels: Any, options: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        get_metric("f1", **options).update(outputs, labels)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("f1", {"task": "multi"}, "task='multi': expected 'binary', 'multiclass'"),
        ("f1", {"average": "makro"}, "^The metric 'f1': average='makro': .* Did you mean 'macro'"),
        ("f1", {"average": "mean"}, "average='mean'"),
        ("auroc", {"average": "micro"}, "average='micro'"),
        ("f1", {"outputs": "scores"}, "outputs='scores'"),
        ("f1", {"threshold": 2}, "threshold=2"),
        ("accuracy", {"top_k": 0}, "top_k=0"),
        ("calibration_error", {"n_bins": 0}, "n_bins=0"),
        ("calibration_error", {"norm": "l3"}, "norm='l3'"),
        ("calibration_error", {"task": "multilabel"}, "task='multilabel'"),
        ("confusion_matrix", {"normalize": None}, "normalize=None"),
        ("confusion_matrix", {"threshold": -1}, "threshold=-1"),
    ],
)
def test_options_that_are_not_valid(name: str, options: Any, message: str) -> None:
    with pytest.raises((ConfigError, OptionError), match=message):
        get_metric(name, **options)


def test_a_task_that_a_metric_does_not_have() -> None:
    with pytest.raises(ConfigError, match="task='multilabel': expected 'binary'"):
        get_metric("calibration_error").update(*multilabel())


def test_without_torchmetrics(monkeypatch: pytest.MonkeyPatch) -> None:
    package = "perceptrain_core.metrics.support.torchmetrics_package.find_spec"
    monkeypatch.setattr(package, lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"'f1'.*perceptrain-core\[metrics\]"):
        get_metric("f1")
    assert get_metric("r2") is not None


def test_the_picture_of_a_confusion_matrix(over: Over) -> None:
    for outputs, labels in (binary(), multiclass(), multilabel()):
        metric = get_metric("confusion_matrix")
        value = over("confusion_matrix", outputs, labels)
        figure = metric.plot(value)
        texts = [text.get_text() for axes in figure.axes for text in axes.texts]
        assert [int(text) for text in texts] == value.flatten().tolist()
