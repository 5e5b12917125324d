import pytest
import torch
from torch import nn

from perceptrain_core.errors import DataError, ShapeError
from perceptrain_core.losses import cross_entropy_loss, multi_margin_loss, nll_loss

IDENTITY = nn.Identity()
LOGITS = torch.tensor([[2.0, 1.0, 0.0], [0.0, 2.0, 1.0], [0.0, 1.0, 2.0], [2.0, 0.0, 1.0]])
LABELS = torch.tensor([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("labels", "ignored", "share"),
    [
        (LABELS, -100, 0.5),
        (LABELS.int(), -100, 0.5),
        (LABELS, 1, 0.5),
        (torch.tensor([0, 1, 2, 1]), 1, 1.0),
        (torch.eye(3)[LABELS], -100, 0.5),
    ],
)
def test_accuracy(labels, ignored, share):
    logits = LOGITS.clone().requires_grad_()
    loss, metrics = cross_entropy_loss(
        (logits, labels), IDENTITY, accuracy=True, ignore_index=ignored
    )
    assert metrics["accuracy"].item() == share
    assert not metrics["accuracy"].requires_grad
    assert loss.requires_grad


def test_images_and_a_single_row():
    logits, labels = torch.randn(2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
    loss, metrics = cross_entropy_loss((logits, labels), IDENTITY, accuracy=True)
    torch.testing.assert_close(loss, nn.CrossEntropyLoss()(logits, labels))
    assert metrics["accuracy"] == (logits.argmax(1) == labels).double().mean()
    loss, metrics = cross_entropy_loss((LOGITS[0], LABELS[0]), IDENTITY, accuracy=True)
    torch.testing.assert_close(loss, nn.CrossEntropyLoss()(LOGITS[0], LABELS[0]))
    assert metrics["accuracy"] == 1


@pytest.mark.parametrize("loss_fn", [cross_entropy_loss, nll_loss, multi_margin_loss])
@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (LABELS.float(), DataError, r"float32 of shape \(4,\); .* int64 .*keep class labels int64"),
        (LABELS.float(), DataError, r"set classes = true in \[data\]"),
        (
            LABELS.double().unsqueeze(-1),
            DataError,
            r"float64 .* expected class indices.* labels\.squeeze\(-1\)\.long\(\).*classes = true",
        ),
        (LABELS.unsqueeze(-1), ShapeError, r"labels\.squeeze\(-1\)"),
        (torch.eye(3)[LABELS].long(), ShapeError, r"labels\.argmax\(1\)"),
        (LABELS[:3], ShapeError, r"\(4, 3\) and .* \(3,\); .*second dimension"),
        (LABELS + 2, DataError, "out of range.*go from 2 to 3"),
        ([0, 1, 0, 1], DataError, "a list of 4 elements; expected a tensor"),
    ],
)
def test_labels_that_are_no_classes(loss_fn, labels, error, message):
    with pytest.raises(error, match=message):
        loss_fn((LOGITS, labels), IDENTITY)


def test_probabilities_are_for_cross_entropy_only():
    with pytest.raises(DataError, match="Only cross_entropy accepts probabilities"):
        nll_loss((LOGITS, torch.eye(3)[LABELS]), IDENTITY)
    with pytest.raises(DataError, match=r"float32 and the labels are torch.float64"):
        cross_entropy_loss((LOGITS, torch.eye(3).double()[LABELS]), IDENTITY)


def test_one_class_is_none():
    """Its cross entropy is always 0, whatever the labels."""
    with pytest.raises(ShapeError, match=r"one class, whose cross entropy is always 0.*bce_with"):
        cross_entropy_loss((torch.ones(4, 2), torch.ones(4, 1)), torch.nn.Linear(2, 1))
