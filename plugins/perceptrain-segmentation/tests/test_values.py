"""Values and gradients, compared with MONAI called directly."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import monai.losses
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.networks.utils import one_hot
from torch import Tensor, nn

from perceptrain import get_loss
from perceptrain.testing import check_loss

NAMES = {
    "boundary": "BoundaryLoss",
    "dice": "DiceLoss",
    "dice_ce": "DiceCELoss",
    "dice_focal": "DiceFocalLoss",
    "focal": "FocalLoss",
    "generalized_dice": "GeneralizedDiceLoss",
    "generalized_dice_focal": "GeneralizedDiceFocalLoss",
    "generalized_wasserstein_dice": "GeneralizedWassersteinDiceLoss",
    "hausdorff_dt": "HausdorffDTLoss",
    "log_hausdorff_dt": "LogHausdorffDTLoss",
    "mcc": "MCCLoss",
    "soft_cldice": "SoftclDiceLoss",
    "soft_dice_cldice": "SoftDiceclDiceLoss",
    "tversky": "TverskyLoss",
}
DECIDED = {"to_onehot_y", "softmax", "sigmoid", "use_softmax", "dist_matrix"}
#: Those for classes that exclude each other alone, the background among them.
EXCLUSIVE = {"generalized_wasserstein_dice"}
INTEGERS = (torch.uint8, torch.int16, torch.uint16)
CHANNELS_ALONE = [name for name in NAMES if name not in EXCLUSIVE]


def direct(name: str, logits: Tensor, target: Tensor, mode: str, **options: Any) -> Tensor:
    """MONAI, told what the plugin finds out: mode is "index", "onehot", "binary" or "multi"."""
    kind = getattr(monai.losses, NAMES[name])
    if name == "generalized_wasserstein_dice":
        options.setdefault("dist_matrix", 1 - torch.eye(logits.shape[1]))
        indices = target if mode == "index" else target.argmax(1, keepdim=True)
        return kind(**options)(logits, indices)
    softmax = mode in ("index", "onehot")
    if name == "focal":
        options["use_softmax"] = softmax
    else:
        options |= {"softmax": softmax, "sigmoid": not softmax}
    if mode == "binary" and "include_background" in inspect.signature(kind).parameters:
        options["include_background"] = True
    return kind(to_onehot_y=mode == "index", **options)(logits, target)


def compare(name: str, logits: Tensor, given: Tensor, expected: Tensor, **options: Any) -> None:
    leaf = logits.detach().clone().requires_grad_()
    loss, metrics = get_loss(name, **options)((leaf, given), nn.Identity())
    torch.testing.assert_close(loss, expected)
    ours, theirs = torch.autograd.grad(loss, leaf)[0], torch.autograd.grad(expected, logits)[0]
    torch.testing.assert_close(ours, theirs)
    assert theirs.abs().max() > 0
    assert 0 <= metrics["dice_score"] <= 1


def pixels(
    channels: int, *size: int, top: int | None = None, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    size = size or (10, 8)
    logits = torch.randn(3, channels, *size, requires_grad=True, dtype=dtype)
    return logits, torch.randint(0, top or channels, (3, 1, *size))


@pytest.mark.parametrize("name", NAMES)
def test_class_indices(name: str) -> None:
    logits, labels = pixels(3)
    for given in (labels, labels[:, 0], labels.float(), *map(labels.to, INTEGERS)):
        compare(name, logits, given, direct(name, logits, labels, "index"))


@pytest.mark.parametrize("name", NAMES)
def test_one_hot(name: str) -> None:
    logits, labels = pixels(3)
    target = one_hot(labels, 3)
    for given in (target, target.long(), target.bool()):
        compare(name, logits, given, direct(name, logits, target, "onehot"))


@pytest.mark.parametrize("name", CHANNELS_ALONE)
def test_one_class(name: str) -> None:
    logits, labels = pixels(1, top=2)
    for given in (labels, labels[:, 0], labels.bool(), labels.float()[:, 0]):
        compare(name, logits, given, direct(name, logits, labels.float(), "binary"))


@pytest.mark.parametrize("name", NAMES)
def test_volumes(name: str) -> None:
    logits, labels = pixels(3, 5, 6, 4)
    compare(name, logits, labels, direct(name, logits, labels, "index"))


@pytest.mark.parametrize("name", NAMES)
def test_float64(name: str) -> None:
    logits, labels = pixels(3, dtype=torch.float64)
    expected = direct(name, logits, labels, "index")
    # MONAI computes focal losses in float32, whatever comes in.
    compare(name, logits, labels, expected.double())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_that_of_the_model_alone(name: str, dtype: torch.dtype) -> None:
    """Sums over many pixels overflow in float16: cross entropy would be NaN."""
    size = (24, 24) if name in ("boundary", "hausdorff_dt", "log_hausdorff_dt") else (300, 300)
    logits, labels = torch.randn(2, 3, *size).to(dtype), torch.randint(0, 3, (2, 1, *size))
    leaf = logits.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = get_loss(name)((leaf, labels), nn.Identity())
    torch.testing.assert_close(loss, direct(name, logits.float(), labels, "index"))
    loss.backward()
    assert leaf.grad is not None
    assert leaf.grad.isfinite().all()


def test_batches_that_are_dicts() -> None:
    """As the loaders of MONAI give them, with tensors that carry where they come from."""
    logits, labels = pixels(3)
    expected, _ = get_loss("dice_ce")((logits, labels), nn.Identity())
    batch = {"image": MetaTensor(logits), "label": MetaTensor(labels), "case": ["a", "b", "c"]}
    loss, metrics = get_loss("dice_ce")(batch, nn.Identity())
    torch.testing.assert_close(loss.as_tensor(), expected)
    assert metrics.keys() == {"dice", "ce", "dice_score"}


@pytest.mark.parametrize("name", ["dice", "dice_ce", "focal", "dice_focal"])
def test_weights_may_be_arrays(name: str) -> None:
    batch, weights = pixels(3), [0.5, 1.0, 2.0]
    expected, _ = get_loss(name, weight=weights)(batch, nn.Identity())
    for given in (np.array(weights), torch.tensor(weights), [np.float32(w) for w in weights]):
        assert get_loss(name, weight=given)(batch, nn.Identity())[0] == expected


@pytest.mark.parametrize("name", CHANNELS_ALONE)
def test_classes_that_overlap(name: str) -> None:
    logits, _ = pixels(3)
    target = torch.randint(0, 2, (3, 3, 10, 8)).float()
    option = {"use_softmax": False} if name == "focal" else {"sigmoid": True}
    compare(name, logits, target, direct(name, logits, target, "multi"), **option)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("boundary", {"include_background": False, "reduction": "sum"}),
        ("dice", {"jaccard": True, "batch": True, "weight": [0.2, 0.3, 0.5]}),
        ("dice", {"include_background": False, "weight": [1.0, 3.0], "squared_pred": True}),
        ("dice", {"ignore_index": 2, "smooth_nr": 0.0, "weight": 2.0}),
        ("dice_ce", {"lambda_ce": 0.3, "lambda_dice": 2.0, "label_smoothing": 0.1}),
        ("dice_ce", {"weight": torch.tensor([1.0, 2, 3]), "include_background": False}),
        ("dice_focal", {"gamma": 1.0, "alpha": 0.3, "weight": [1.0, 2.0, 3.0]}),
        ("focal", {"gamma": 0.5, "alpha": [0.1, 0.5, 0.4], "ignore_index": 0}),
        ("generalized_dice", {"w_type": "simple", "reduction": "sum"}),
        ("generalized_dice_focal", {"lambda_gdl": 0.5, "weight": [1.0, 2.0, 3.0]}),
        (
            "generalized_wasserstein_dice",
            {
                "dist_matrix": torch.tensor([[0, 2, 2], [2, 0, 1.0], [2, 1, 0]]),
                "weighting_mode": "GDL",
                "reduction": "sum",
            },
        ),
        ("hausdorff_dt", {"alpha": 1.0, "include_background": True, "batch": True}),
        ("mcc", {"smooth_dr": 1.0}),
        ("soft_cldice", {"iter_": 1, "smooth": 0.1}),
        ("soft_dice_cldice", {"alpha": 0.9, "smooth_nr": 0.5}),
        ("tversky", {"alpha": 0.2, "beta": 0.8, "ignore_index": 1}),
    ],
)
def test_options(name: str, options: dict[str, Any]) -> None:
    logits, labels = pixels(3)
    compare(name, logits, labels, direct(name, logits, labels, "index", **options), **options)


def test_a_sentinel_that_is_ignored() -> None:
    logits, labels = pixels(3)
    labels[:, :, :3] = 255
    for name in ("dice", "focal", "tversky"):
        expected = direct(name, logits, labels, "index", ignore_index=255)
        compare(name, logits, labels, expected, ignore_index=255)


def test_probabilities_and_other_activations() -> None:
    logits, labels = pixels(3)
    expected = direct("dice", logits, labels, "index")
    probabilities = logits.softmax(1)
    loss, metrics = get_loss("dice", softmax=False)((probabilities, labels), nn.Identity())
    torch.testing.assert_close(loss, expected)
    loss, others = get_loss("dice", other_act=lambda x: x.softmax(1))(
        (logits, labels), nn.Identity()
    )
    torch.testing.assert_close(loss, expected)
    assert metrics == others
    logits, labels = pixels(1, top=2)
    for model, options in [(nn.Sigmoid(), {"sigmoid": False}), (nn.Identity(), {})]:
        loss, metrics = get_loss("dice", **options)((logits, labels), model)
        torch.testing.assert_close(loss, direct("dice", logits, labels.float(), "binary"))
    assert get_loss("dice", sigmoid=False)((logits.sigmoid(), labels), nn.Identity())[1] == metrics


@pytest.mark.parametrize("name", NAMES)
def test_the_options_are_those_of_monai(name: str) -> None:
    theirs = inspect.signature(getattr(monai.losses, NAMES[name])).parameters
    ours = inspect.signature(type(get_loss(name))).parameters
    assert ours.keys() == {*theirs, "dice_score"}
    for option in theirs:
        default = None if option in DECIDED else theirs[option].default
        assert ours[option].default == default, option


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_contract(name: str) -> None:
    labels = torch.randint(0, 3, (2, 8, 8))
    check_loss(get_loss(name), (torch.randn(2, 1, 8, 8), labels), nn.Conv2d(1, 3, 3, padding=1))


def test_the_score_can_be_left_out_and_nothing_is_kept() -> None:
    loss_fn = get_loss("dice", dice_score=False, weight=[1.0, 2.0, 3.0])
    batch = pixels(3)
    loss, metrics = loss_fn(batch, nn.Identity())
    assert metrics == {}
    assert loss_fn.state_dict() == {}
    for other in (copy.deepcopy(loss_fn), pickle.loads(pickle.dumps(loss_fn))):
        assert other(batch, nn.Identity())[0] == loss


@pytest.mark.parametrize(
    ("name", "terms"),
    [
        ("dice_ce", {"dice": "lambda_dice", "ce": "lambda_ce"}),
        ("dice_focal", {"dice": "lambda_dice", "focal": "lambda_focal"}),
        ("generalized_dice_focal", {"generalized_dice": "lambda_gdl", "focal": "lambda_focal"}),
    ],
)
def test_the_terms_are_metrics(name: str, terms: dict[str, str]) -> None:
    batch = pixels(3)
    _, metrics = get_loss(name, dice_score=False)(batch, nn.Identity())
    assert metrics.keys() == terms.keys()
    for term, option in terms.items():
        others = dict.fromkeys(set(terms.values()) - {option}, 0.0)
        loss, _ = get_loss(name, **others)(batch, nn.Identity())
        torch.testing.assert_close(metrics[term], loss)
