"""Models that are worse than a constant, against scikit-learn."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, r2_score
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


def test_one_class_for_all_rows_of_unbalanced_data():
    y = torch.tensor([0] * 97 + [1] * 3)
    always = nn.functional.one_hot(torch.zeros_like(y), 2).float()
    assert balanced_accuracy_score(y, always.argmax(1)) == 0.5
    text = shortfall(Fixed(), rows(always, y), "cross_entropy", False, ("good", "bad"))
    assert text is not None
    assert text.startswith("The model answers 'good' for all 100 rows, which is right in 97.0% of")
    binary = y.float().unsqueeze(1)
    text = shortfall(Fixed(), rows(-torch.ones(100, 1), binary), "bce_with_logits", False)
    assert text is not None
    assert text.startswith("The model answers 0 for all 100 rows")
    # Two rare rows found for two common ones lost: the same accuracy, and much better than chance.
    found = y.clone()
    found[[0, 1, 99]] = torch.tensor([1, 1, 0])
    found[98] = 1
    assert balanced_accuracy_score(y, found) > 0.8
    traded = nn.functional.one_hot(found, 2).float()
    text = shortfall(Fixed(), rows(traded, y), "cross_entropy", False)
    assert (found == y).sum() == 97
    assert text is None
    alone = torch.zeros(9, dtype=torch.int64)  # nothing else could be learned here
    single = shortfall(Fixed(), rows(always[:9], alone), "cross_entropy", False)
    assert single is None


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
