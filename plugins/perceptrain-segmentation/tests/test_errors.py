"""What cannot be is told."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import get_loss
from perceptrain.errors import ConfigError, DataError, OptionError, ShapeError


def indices(*shape: int, top: int = 3) -> Tensor:
    return torch.randint(0, top, shape)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dice", {"reduction": "none"}, "one number"),
        ("dice", {"include_background": "no"}, "include_background='no': expected true or false"),
        ("dice", {"softmax": True, "sigmoid": True}, "softmax and sigmoid are set"),
        ("dice", {"softmax": True, "other_act": torch.tanh}, "at most one"),
        ("dice", {"other_act": "tanh"}, "a function or None"),
        ("dice", {"smooth_nr": -1}, "smooth_nr=-1; expected a number of 0 or more"),
        ("dice", {"smooth_dr": "small"}, "expected a number"),
        ("dice", {"weight": [1.0, -1.0]}, "one for each class"),
        ("dice", {"weight": "heavy"}, "weight='heavy'"),
        ("dice", {"ignore_index": 1.5}, "a whole number"),
        ("dice", {"dice_score": None}, "dice_score=None"),
        ("dice_ce", {"lambda_ce": -0.1}, "lambda_ce"),
        ("dice_ce", {"label_smoothing": 2}, "from 0 to 1"),
        ("focal", {"gamma": float("nan")}, "gamma=nan"),
        ("focal", {"alpha": 2.0}, "alpha=2.0; expected .* 0 to 1"),
        ("dice_focal", {"alpha": 2.0}, "alpha=2.0; expected .* 0 to 1"),
        ("tversky", {"alpha": None}, "alpha=None"),
        ("generalized_dice", {"w_type": "cubic"}, "GeneralizedDiceLoss: .*cubic"),
        ("generalized_wasserstein_dice", {"weighting_mode": "none"}, "Wasserstein.*weighting_mode"),
        ("generalized_wasserstein_dice", {"dist_matrix": [[0, 1]]}, "as many rows as columns"),
        ("generalized_wasserstein_dice", {"dist_matrix": [[0, 1], [1, 1]]}, "0 on the diagonal"),
        ("generalized_wasserstein_dice", {"dist_matrix": [[0, -1], [1, 0]]}, "0 or more"),
        ("generalized_wasserstein_dice", {"dist_matrix": "far"}, "dist_matrix='far'"),
        ("soft_cldice", {"iter_": 1.5}, "iter_ must be an integer"),
        ("soft_cldice", {"smooth": 0.0}, "positive"),
        ("soft_dice_cldice", {"alpha": 1.5}, "alpha"),
    ],
)
def test_options(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, OptionError), match=message):
        get_loss(name, **options)


@pytest.mark.parametrize(
    ("error", "labels", "message"),
    [
        (ShapeError, indices(2, 1, 8, 7), r"\(2, 3, 8, 8\).*\(2, 1, 8, 7\).*height and width"),
        (ShapeError, indices(2, 2, 8, 8), "one output channel for each class"),
        (ShapeError, indices(2, 8, 8, 3), r"movedim\(-1, 1\)"),
        (ShapeError, indices(2, 8, 8, 1), r"movedim\(-1, 1\)"),
        (ShapeError, indices(2, 64), "expected labels of shape"),
        (DataError, [[0]], "labels are list"),
        (DataError, torch.zeros(2, 8, 8, dtype=torch.complex64), "complex64"),
        (DataError, indices(2, 8, 8) + 1, "from 1 to 3; expected whole class indices from 0 to 2"),
        (DataError, indices(2, 8, 8) - 1, "from -1 to 1"),
        (DataError, torch.rand(2, 1, 8, 8), "with fractions"),
        (DataError, 255 * indices(2, 3, 8, 8, top=2), "from 0 to 255; expected values from 0 to 1"),
    ],
)
def test_labels(error: type[Exception], labels: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        get_loss("dice_ce")((torch.rand(2, 1, 8, 8), labels), nn.Conv2d(1, 3, 1))


@pytest.mark.parametrize("name", ["dice", "dice_ce", "focal", "dice_focal", "hausdorff_dt"])
def test_a_label_that_is_no_class_later_on(name: str) -> None:
    loss_fn, model = get_loss(name), nn.Conv2d(1, 3, 1)
    image = torch.rand(2, 1, 8, 8)
    loss_fn((image, indices(2, 8, 8)), model)
    with pytest.raises(DataError, match="to 7; expected whole class indices from 0 to 2"):
        loss_fn((image, torch.full((2, 8, 8), 7)), model)


@pytest.mark.parametrize("name", ["dice", "dice_ce", "focal", "generalized_dice"])
def test_a_mask_of_255_after_empty_ones(name: str) -> None:
    loss_fn, model = get_loss(name), nn.Conv2d(1, 1, 1)
    image = torch.rand(2, 1, 8, 8)
    loss_fn((image, torch.zeros(2, 8, 8)), model)
    with pytest.raises(DataError, match=r"to 255; expected values from 0 to 1.*masks > 0"):
        loss_fn((image, 255 * indices(2, 8, 8, top=2)), model)


@pytest.mark.parametrize(
    ("name", "remedy"), [("dice", {"sigmoid": True}), ("focal", {"use_softmax": False})]
)
def test_classes_that_overlap_under_softmax(name: str, remedy: dict[str, bool]) -> None:
    batch = torch.rand(2, 1, 8, 8), torch.ones(2, 3, 8, 8, dtype=torch.uint8)
    model = nn.Conv2d(1, 3, 1)
    ((option, value),) = remedy.items()
    with pytest.raises(DataError, match=f"add up to 3 in the labels.*give {option}={value}"):
        get_loss(name)(batch, model)
    assert get_loss(name, **remedy)(batch, model)[0].isfinite()
    said = {"use_softmax" if name == "focal" else "softmax": True}
    assert get_loss(name, **said)(batch, model)[0].isfinite()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dice", {}, "pass softmax=False"),
        ("focal", {}, "Leave out the model's softmax"),
        ("dice_ce", {"softmax": False}, r"Leave out the model's softmax\.$"),
    ],
)
def test_softmax_twice(name: str, options: dict[str, Any], message: str) -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 1), nn.Softmax(1))
    loss_fn, batch = get_loss(name, **options), (torch.rand(2, 1, 8, 8), indices(2, 8, 8))
    with pytest.warns(UserWarning, match=message) as caught:
        loss_fn(batch, model)
    assert [warning.filename for warning in caught] == [__file__]
    loss_fn(batch, model)  # told once: warnings are errors here
    get_loss("dice", softmax=False)(batch, model)


@pytest.mark.parametrize(
    ("name", "options", "channels", "message"),
    [
        ("dice", {"softmax": True}, 1, "softmax=True is set"),
        ("focal", {"use_softmax": True}, 1, "use_softmax=True is set"),
        ("dice", {"to_onehot_y": True}, 1, "to_onehot_y=True is set"),
        ("dice", {"to_onehot_y": False}, 3, "expected 3 channels of labels"),
        ("dice", {"weight": [1.0, 2.0]}, 3, "DiceLoss, 3 channels: .*weight"),
        ("focal", {"weight": [1.0, 2.0]}, 3, "FocalLoss, 3 channels: .*weight"),
        ("focal", {"alpha": [0.1, 0.2]}, 3, "FocalLoss, 3 channels: .*alpha"),
        ("dice_ce", {"weight": [1.0, 2.0]}, 3, "DiceCELoss, 3 channels: .*weight"),
        ("dice_ce", {"weight": [1.0, 2.0]}, 1, "DiceCELoss, 1 channel: .*weight"),
        ("dice_ce", {"weight": 2.0}, 3, "weight=2.0; expected"),
        ("generalized_wasserstein_dice", {}, 1, "a channel for each class, the background too"),
        (
            "generalized_wasserstein_dice",
            {"dist_matrix": [[0, 1], [1, 0]]},
            3,
            r"dist_matrix is 2 x 2, and the model returned \(2, 3, 8, 8\)",
        ),
    ],
)
def test_options_and_shapes(
    name: str, options: dict[str, Any], channels: int, message: str
) -> None:
    batch = torch.rand(2, 1, 8, 8), indices(2, 1, 8, 8, top=2)
    with pytest.raises((ConfigError, ShapeError), match=message):
        get_loss(name, **options)(batch, nn.Conv2d(1, channels, 1))


def test_one_hot_labels_are_no_indices() -> None:
    batch = torch.rand(2, 1, 8, 8), indices(2, 3, 8, 8, top=2)
    with pytest.raises(ShapeError, match="expected 1 channel of labels"):
        get_loss("dice", to_onehot_y=True)(batch, nn.Conv2d(1, 3, 1))


@pytest.mark.parametrize(
    ("error", "model", "message"),
    [
        (DataError, lambda x: {"out": x}, "returned a dict; expected one tensor of logits"),
        (DataError, lambda x: x.long(), "torch.int64; expected logits"),
        (ShapeError, lambda x: x.flatten(1), r"\(2, 64\); expected \(N, K, H, W\)"),
        (DataError, lambda x: x[:0], "empty batches"),
    ],
)
def test_what_the_model_gives(error: type[Exception], model: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        get_loss("dice")((torch.rand(2, 1, 8, 8), indices(2, 8, 8)), model)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"x": 1, "y": 2}, r"a dict with the keys 'x', 'y'; .* loss_fn\(\(batch\[\"x\"\]"),
        ({"image": 1}, "a dict with the keys 'image'; expected"),
        ({}, "a dict without keys"),
        ((1, 2, 3), "a tuple of 3"),
        (torch.rand(2, 1, 8, 8), "a Tensor"),
    ],
)
def test_batches(batch: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        get_loss("dice")(batch, nn.Identity())


@pytest.mark.parametrize("name", ["hausdorff_dt", "boundary", "soft_cldice", "soft_dice_cldice"])
def test_signals_have_no_distances_here(name: str) -> None:
    batch = torch.rand(2, 3, 8), indices(2, 8)
    assert get_loss("dice_ce")(batch, nn.Identity())[0].isfinite()
    with pytest.raises(ShapeError, match="2 or 3 dimensions"):
        get_loss(name)(batch, nn.Identity())
