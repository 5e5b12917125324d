"""Models that are worse than a constant, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, r2_score
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from perceptrain_core.data.files.splits import Splits
from perceptrain_core.runs.baseline import Settings, shortfall


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
        text = shortfall(Fixed(), rows(outputs, y), Settings("mse"))
        r2 = r2_score(y, outputs, multioutput="variance_weighted")
        assert (text is not None) == (r2 < 0)
        assert text is None or f"(R2 = {r2:.3g}): set scale_labels = true" in text
    scaled = shortfall(Fixed(), rows(torch.zeros_like(y), y), Settings("huber", scaled=True))
    assert scaled is not None
    assert "scale_labels" not in scaled
    assert shortfall(Fixed(), rows(y.mean(0).expand_as(y), y), Settings("mse")) is None


def test_worse_than_the_most_frequent_class():
    y = torch.tensor([0] * 70 + [1] * 20 + [2] * 10)
    right = nn.functional.one_hot(y).float()
    assert shortfall(Fixed(), rows(right, y), Settings("cross_entropy")) is None
    wrong = right.roll(1, dims=1)
    share = accuracy_score(y, wrong.argmax(1))
    text = shortfall(Fixed(), rows(wrong, y), Settings("cross_entropy"))
    assert text is not None
    assert (
        f"right in {share:.1%} of the rows, and the most frequent class alone would be in 70"
        in text
    )
    binary = (y > 0).float().unsqueeze(1)
    assert shortfall(Fixed(), rows(2 * binary - 1, binary), Settings("bce_with_logits")) is None
    assert shortfall(Fixed(), rows(1 - 2 * binary, binary), Settings("bce_with_logits")) is not None


def test_one_class_for_all_rows_of_unbalanced_data():
    y = torch.tensor([0] * 97 + [1] * 3)
    always = nn.functional.one_hot(torch.zeros_like(y), 2).float()
    assert balanced_accuracy_score(y, always.argmax(1)) == 0.5
    text = shortfall(Fixed(), rows(always, y), Settings("cross_entropy"), ("good", "bad"))
    assert text is not None
    assert text.startswith("The model answers 'good' for all 100 rows, which is right in 97.0% of")
    binary = y.float().unsqueeze(1)
    text = shortfall(Fixed(), rows(-torch.ones(100, 1), binary), Settings("bce_with_logits"))
    assert text is not None
    assert text.startswith("The model answers 0 for all 100 rows")
    # Two rare rows found for two common ones lost: the same accuracy, and much better than chance.
    found = y.clone()
    found[[0, 1, 99]] = torch.tensor([1, 1, 0])
    found[98] = 1
    assert balanced_accuracy_score(y, found) > 0.8
    traded = nn.functional.one_hot(found, 2).float()
    text = shortfall(Fixed(), rows(traded, y), Settings("cross_entropy"))
    assert (found == y).sum() == 97
    assert text is None
    alone = torch.zeros(9, dtype=torch.int64)  # nothing else could be learned here
    single = shortfall(Fixed(), rows(always[:9], alone), Settings("cross_entropy"))
    assert single is None


def advice_for(outputs: torch.Tensor, labels: torch.Tensor, **settings: object) -> str:
    text = shortfall(Fixed(), rows(outputs, labels), Settings(**settings))
    assert text is not None
    return text


def test_weights_that_make_classes_equally_frequent():
    y = torch.tensor([0] * 96 + [1] * 24 + [2] * 12)
    always = nn.functional.one_hot(torch.zeros_like(y), 3).float()
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=y.numpy())
    weights = (theirs / theirs.min()).round(1).astype(int).tolist()
    text = advice_for(always, y, loss="cross_entropy")
    assert f"Give rare classes a larger weight in [loss], such as weight = {weights}, ch" in text
    rare = torch.tensor([1.0] * 24 + [0.0] * 96).unsqueeze(1)
    text = advice_for(-torch.ones(120, 1), rare, loss="bce_with_logits")
    assert "second class a larger weight in [loss], such as pos_weight = [4], change lr" in text
    frequent = torch.tensor([0.0] * 24 + [1.0] * 96).unsqueeze(1)
    text = advice_for(torch.ones(120, 1), frequent, loss="bce_with_logits")
    assert "a smaller weight in [loss], such as pos_weight = [0.25], change lr" in text
    many = torch.arange(40).div(4, rounding_mode="floor")
    always = nn.functional.one_hot(torch.zeros_like(many), 10).float()
    assert "with weight, a number for each class, change lr" in advice_for(
        always, many, loss="cross_entropy"
    )


def test_what_is_done_already_is_not_advised():
    y = torch.tensor([0] * 97 + [1] * 3)
    always = nn.functional.one_hot(torch.zeros_like(y), 2).float()
    text = advice_for(always, y, loss="cross_entropy", weighted=True)
    assert "other classes. Change lr in [optimizer], or train" in text
    assert "weight" not in text
    wrong = nn.functional.one_hot(1 - y, 2).float()
    assert "standardize = true" in advice_for(wrong, y, loss="cross_entropy")
    text = advice_for(wrong, y, loss="cross_entropy", standardized=True)
    assert text.endswith("in 97.0%: change lr in [optimizer], or train for more epochs.")


def test_weights_lower_the_accuracy_on_purpose():
    y = torch.tensor([0] * 97 + [1] * 3)
    found = y.clone()
    found[:10] = 1  # all rare rows are found, and ten others
    outputs = nn.functional.one_hot(found, 2).float()
    assert balanced_accuracy_score(y, found) > 0.9
    assert "right in 90.0%" in advice_for(outputs, y, loss="cross_entropy")
    weighted = Settings("cross_entropy", weighted=True)
    assert shortfall(Fixed(), rows(outputs, y), weighted) is None
    wrong = nn.functional.one_hot(1 - y, 2).float()
    assert shortfall(Fixed(), rows(wrong, y), weighted) is not None
    rare = nn.functional.one_hot(torch.ones_like(y), 2).float()
    assert "answers 1 for all 100 rows" in advice_for(rare, y, loss="nll", weighted=True)


def test_ignored_labels_do_not_count():
    y = torch.tensor([0, 1, -100, 1, 0, -100])
    right = nn.functional.one_hot(y.clamp(min=0), 2).float()
    assert shortfall(Fixed(), rows(right, y), Settings("cross_entropy")) is None
    nothing = shortfall(Fixed(), rows(right, torch.full_like(y, -100)), Settings("cross_entropy"))
    assert nothing is None


def test_the_rows_for_test_come_first():
    y = torch.randn(50, 1)
    good, bad = (y, y), (y + 9, y)
    assert shortfall(Fixed(), Splits(bad, val=bad, test=good), Settings("mse")) is None
    assert shortfall(Fixed(), Splits(good, val=bad), Settings("mse")) is not None


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
    assert shortfall(Fixed(), data, Settings(loss)) is None
