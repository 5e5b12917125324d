"""Losses against formulas, and against built-in losses where these are special cases."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from sklearn.metrics import fbeta_score
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import FFNN, Counted, TrainConfig, Trainer, get_loss
from perceptrain.errors import ConfigError, DataError, ShapeError

X = torch.randn(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


class Fixed(nn.Module):
    """Scores of each row."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.linear = nn.Linear(3, outputs, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return 3 * self.linear(x)


CLASSES = (X.sum(1) > 0).long() + (X[:, 0] > 1)
BINARY = (X.sum(1, keepdim=True) > 0.5).double()


def value(name: str, labels: Tensor, outputs: int, **options: Any) -> Tensor:
    result: Tensor = get_loss({"name": name, **options})((X, labels), Fixed(outputs))[0]
    return result.detach()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("class_focal", {"gamma": 0.0}),
        ("bi_tempered", {"t1": 1.0, "t2": 1.0}),
        ("ldam", {"counts": [1, 2, 3], "max_margin": 0, "scale": 1.0}),
    ],
)
def test_cross_entropy_is_a_special_case(name: str, options: dict[str, Any]) -> None:
    expected = value("cross_entropy", CLASSES, 3)
    torch.testing.assert_close(value(name, CLASSES, 3, **options), expected)


def test_weights_of_classes_are_those_of_cross_entropy() -> None:
    weight = [1.0, 2.0, 5.0]
    expected = value("cross_entropy", CLASSES, 3, weight=weight)
    found = value("class_focal", CLASSES, 3, gamma=0.0, weight=weight)
    torch.testing.assert_close(found, expected)


def test_focal_losses() -> None:
    p = Fixed(3)(X).softmax(1)[torch.arange(40), CLASSES].detach()
    expected = (-((1 - p) ** 1.5) * p.log()).mean()
    torch.testing.assert_close(value("class_focal", CLASSES, 3, gamma=1.5), expected)
    q = Fixed(1)(X).sigmoid().detach()
    p, weight = torch.where(BINARY == 1, q, 1 - q), torch.where(BINARY == 1, 0.25, 0.75)
    expected = (-weight * (1 - p) ** 2 * p.log()).mean()
    torch.testing.assert_close(value("binary_focal", BINARY, 1, alpha=0.25), expected)
    expected = value("bce_with_logits", BINARY, 1)
    torch.testing.assert_close(value("binary_focal", BINARY, 1, gamma=0.0), expected)


def test_the_gradient_of_a_focal_loss_is_finite_for_certain_rows() -> None:
    logits = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], requires_grad=True)
    labels = torch.tensor([0, 0])
    for gamma in (0.5, 2.0):
        loss = get_loss("class_focal", gamma=gamma)((logits, labels), nn.Identity())[0]
        assert torch.autograd.grad(loss, logits)[0].isfinite().all()


def test_ldam() -> None:
    counts = [1000.0, 100.0, 10.0]
    margins = torch.tensor([n**-0.25 for n in counts], dtype=torch.float64)
    margins *= 0.5 / margins.max()
    logits = Fixed(3)(X).detach()
    own = logits[torch.arange(40), CLASSES] - margins[CLASSES]
    lowered = logits.clone()
    lowered[torch.arange(40), CLASSES] = own
    expected = -(30 * own - torch.logsumexp(30 * lowered, 1)).mean()
    torch.testing.assert_close(value("ldam", CLASSES, 3, counts=counts), expected)


def tempered_probabilities(logits: Tensor, t: float) -> Tensor:
    """Find the normalization by bisection."""
    low, high = logits.max(1, keepdim=True)[0], logits.max(1, keepdim=True)[0] + 1e6
    for _ in range(200):
        middle = (low + high) / 2
        total = (1 + (1 - t) * (logits - middle)).pow(1 / (1 - t)).sum(1, keepdim=True)
        low, high = middle.where(total > 1, low), high.where(total > 1, middle)
    return (1 + (1 - t) * (logits - low)).pow(1 / (1 - t))


def test_bi_tempered() -> None:
    t1, t2 = 0.7, 1.3
    p = tempered_probabilities(Fixed(3)(X).detach(), t2)
    torch.testing.assert_close(p.sum(1), torch.ones(40, dtype=torch.float64))
    y = F.one_hot(CLASSES, 3).double()

    def log_t(u: Tensor) -> Tensor:
        return (u ** (1 - t1) - 1) / (1 - t1)

    inside = y * (log_t(y) - log_t(p)) - (y ** (2 - t1) - p ** (2 - t1)) / (2 - t1)
    found = value("bi_tempered", CLASSES, 3, t1=t1, t2=t2)
    torch.testing.assert_close(found, inside.sum(1).mean(), rtol=1e-4, atol=1e-5)


def test_the_gradient_of_bi_tempered_is_that_of_differences() -> None:
    loss_fn = get_loss("bi_tempered", iterations=200)
    logits = Fixed(3)(X).detach()[:5].requires_grad_()
    assert torch.autograd.gradcheck(lambda z: loss_fn((z, CLASSES[:5]), nn.Identity())[0], logits)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_soft_f1_of_certain_predictions_is_the_f_score(beta: float) -> None:
    scores = (torch.arange(40) % 3 > 0).double()[:, None]
    loss = get_loss("soft_f1", beta=beta)((1e3 * (scores - 0.5), BINARY), nn.Identity())[0]
    expected = fbeta_score(BINARY.flatten().long(), scores.flatten().long(), beta=beta)
    assert 1 - loss.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "labels", "outputs", "options"),
    [
        ("binary_focal", BINARY, 1, {}),
        ("class_focal", CLASSES, 3, {"weight": [1.0, 2.0, 5.0]}),
        ("ldam", CLASSES, 3, {"counts": [20, 15, 5]}),
        ("bi_tempered", CLASSES, 3, {}),
    ],
)
def test_batches_count_by_what_their_loss_is_a_mean_over(
    name: str, labels: Tensor, outputs: int, options: dict[str, Any]
) -> None:
    loss_fn, model = get_loss({"name": name, **options}), Fixed(outputs)
    whole = loss_fn((X, labels), model)
    assert isinstance(whole[1], Counted)
    parts = [loss_fn((X[part], labels[part]), model) for part in (slice(0, 7), slice(7, 40))]
    counts = [torch.as_tensor(metrics.count) for _, metrics in parts]
    mean = sum(n * loss for n, (loss, _) in zip(counts, parts, strict=True)) / sum(counts)
    torch.testing.assert_close(mean, whole[0])


@pytest.mark.slow
def test_bi_tempered_forgives_wrong_labels() -> None:
    torch.manual_seed(0)
    x = torch.randn(400, 2)
    truth = (x[:, 0] > 0).long()
    far = x[:, 0] > 1
    labels = torch.where(far & (torch.rand(400) < 0.7), 0, truth)  # wrong far from the boundary
    right = {}
    for name, options in (("cross_entropy", {}), ("bi_tempered", {"t1": 0.2, "t2": 4.0})):
        torch.manual_seed(0)
        model = FFNN([2, 2])
        config = TrainConfig(max_iter=300, verbose=False)
        Trainer(model, {"name": "adam", "lr": 0.05}, config, {"name": name, **options}).fit(
            [(x, labels)]
        )
        right[name] = float((model(x).argmax(1) == truth)[~far].double().mean())
    assert right["bi_tempered"] > right["cross_entropy"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("binary_focal", {"gamma": -1}),
        ("binary_focal", {"alpha": 2}),
        ("class_focal", {"weight": [1.0]}),
        ("ldam", {"counts": [1, 2]}),
        ("ldam", {"counts": [1, 2, 0]}),
        ("bi_tempered", {"t1": 1.5}),
        ("bi_tempered", {"t2": 0.5}),
        ("bi_tempered", {"label_smoothing": 1.0}),
        ("soft_f1", {"beta": 0}),
    ],
)
def test_options_are_checked(name: str, options: dict[str, Any]) -> None:
    binary = name in ("binary_focal", "soft_f1")
    (option,) = options
    with pytest.raises(ConfigError, match=f"{option}=.*expected"):
        value(name, BINARY if binary else CLASSES, 1 if binary else 3, **options)


def test_labels_are_checked() -> None:
    with pytest.raises(DataError, match="expected class indices"):
        value("class_focal", CLASSES.double(), 3)
    with pytest.raises(ShapeError, match=r"expected \(N, C\) and \(N,\)"):
        value("bi_tempered", CLASSES[:, None], 3)
    with pytest.raises(ShapeError, match="expected the same"):
        value("soft_f1", BINARY[:, 0], 1)
    with pytest.raises(DataError, match=r"\(inputs, labels\)"):
        get_loss("soft_f1")((X, BINARY, BINARY), Fixed(1))


@pytest.mark.parametrize("name", ["binary_focal", "soft_f1"])
@pytest.mark.parametrize(("low", "high"), [(-1, 1), (5, 6), (0, 255)])
def test_binary_labels_are_from_0_to_1(name: str, low: int, high: int) -> None:
    labels = low + (high - low) * BINARY
    with pytest.raises(DataError, match=f"labels go from {low} to {high}; expected 0 and 1"):
        value(name, labels, 1)
    with pytest.raises(DataError, match=f"labels go from {low} to {high}; expected 0 and 1"):
        value(name, labels.long(), 1)
    config = TrainConfig(max_iter=1, verbose=False, dtype=torch.float64)
    with pytest.raises(DataError, match="expected 0 and 1"):
        Trainer(Fixed(1), "sgd", config, name).fit([(X, labels)])


@pytest.mark.parametrize("name", ["binary_focal", "soft_f1"])
def test_binary_labels_may_be_probabilities(name: str) -> None:
    assert value(name, 0.1 + 0.8 * BINARY, 1).isfinite()


@pytest.mark.parametrize("name", ["bi_tempered", "class_focal", "ldam"])
@pytest.mark.parametrize("shift", [-1, 1])
def test_classes_are_those_of_the_model(name: str, shift: int) -> None:
    options = {"counts": [1, 2, 3]} if name == "ldam" else {}
    message = rf"go from {shift} to {2 + shift}; expected classes from 0 to 2.*3 outputs"
    with pytest.raises(DataError, match=message):
        value(name, CLASSES + shift, 3, **options)


@pytest.mark.parametrize("name", ["bi_tempered", "class_focal", "binary_focal", "soft_f1"])
def test_batches_without_rows_and_labels_without_tensors_are_named(name: str) -> None:
    loss_fn, labels = get_loss(name), BINARY if "binary" in name or "f1" in name else CLASSES
    model = Fixed(1 if labels is BINARY else 3)
    with pytest.raises(DataError, match=r"the batch has no rows.*Leave empty batches out"):
        loss_fn((X[:0], labels[:0]), model)
    with pytest.raises(DataError, match=r"The labels are a list of 40; .*torch\.as_tensor"):
        loss_fn((X, labels.tolist()), model)
    with pytest.raises(DataError, match=r"The batch is a dict with the keys 'x', 'y'; expected"):
        loss_fn({"x": X, "y": labels}, model)
    with pytest.raises(DataError, match="The model returned a tuple of 2; expected a tensor"):
        loss_fn((X, labels), lambda x: (x, x))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bi_tempered", "class_focal", "binary_focal", "soft_f1"])
def test_labels_are_not_read_while_a_step_is_recorded(name: str) -> None:
    binary = name in ("binary_focal", "soft_f1")
    batch = (X, BINARY if binary else CLASSES)
    config = TrainConfig(max_iter=2, verbose=False, dtype=torch.float64, compile=True)
    trainer = Trainer(Fixed(1 if binary else 3), "sgd", config, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer.fit([batch, batch])
    assert trainer.history[-1]["train_loss"] < trainer.history[0]["train_loss"]
