"""Models that are worse than a constant, against scikit-learn."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import accuracy_score, r2_score
from torch import nn

from perceptrain_core.data.files.splits import Splits
from perceptrain_core.runs.baseline import shortfall


class Fixed(nn.Module):
    """Returns some columns of its inputs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert not self.training
        return x


def rows(outputs: torch.Tensor, labels: torch.Tensor) -> Splits:
    return Splits((outputs, labels))


def test_worse_than_the_mean():
    torch.manual_seed(0)
    y = torch.randn(5000, 2) + 3
    for outputs in (
        y + 0.5 * torch.randn_like(y),
        y + 2 * torch.randn_like(y),
        torch.zeros_like(y),
    ):
        text = shortfall(Fixed(), rows(outputs, y), "mse", scaled=False)
        r2 = r2_score(y, outputs, multioutput="variance_weighted")
        assert (text is not None) == (r2 < 0)
        assert text is None or f"(R2 = {r2:.3g}): set scale_labels = true" in text
    scaled = shortfall(Fixed(), rows(torch.zeros_like(y), y), "huber", scaled=True)
    assert scaled is not None
    assert "scale_labels" not in scaled
    assert shortfall(Fixed(), rows(y.mean(0).expand_as(y), y), "mse", False) is None


def test_worse_than_the_most_frequent_class():
    y = torch.tensor([0] * 70 + [1] * 20 + [2] * 10)
    right = nn.functional.one_hot(y).float()
    assert shortfall(Fixed(), rows(right, y), "cross_entropy", False) is None
    wrong = right.roll(1, dims=1)
    share = accuracy_score(y, wrong.argmax(1))
    text = shortfall(Fixed(), rows(wrong, y), "cross_entropy", False)
    assert text is not None
    assert (
        f"right in {share:.1%} of the rows, and the most frequent class alone would be in 70"
        in text
    )
    binary = (y > 0).float().unsqueeze(1)
    assert shortfall(Fixed(), rows(2 * binary - 1, binary), "bce_with_logits", False) is None
    assert shortfall(Fixed(), rows(1 - 2 * binary, binary), "bce_with_logits", False) is not None


def test_the_rows_for_test_come_first():
    y = torch.randn(50, 1)
    good, bad = (y, y), (y + 9, y)
    assert shortfall(Fixed(), Splits(bad, val=bad, test=good), "mse", False) is None
    assert shortfall(Fixed(), Splits(good, val=bad), "mse", False) is not None


@pytest.mark.parametrize(
    ("data", "loss"),
    [
        (Splits((torch.zeros(9, 1), torch.ones(9, 1))), "mse"),  # the labels do not vary
        (Splits((torch.zeros(9, 1), torch.arange(9.0))), "mse"),  # another shape
        (Splits((torch.zeros(9, 1), torch.arange(9.0).unsqueeze(1))), "l1"),
        (Splits((torch.zeros(9, 1), torch.arange(9))), "mse"),
        (Splits({"a": torch.zeros(9, 1)}), "mse"),
        (Splits((torch.zeros(9, 1),)), "mse"),
    ],
)
def test_what_cannot_be_compared(data, loss):
    assert shortfall(Fixed(), data, loss, False) is None
