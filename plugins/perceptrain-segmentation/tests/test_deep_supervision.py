"""A loss at several resolutions, compared with MONAI called directly."""

from __future__ import annotations

from typing import Any

import monai.losses
import pytest
import torch
from torch import Tensor, nn

from perceptrain import TrainConfig, Trainer, get_loss
from perceptrain.errors import ConfigError, DataError, PerceptrainError
from perceptrain.testing import check_loss


class Pyramid(nn.Module):
    """Logits at full, half and quarter size in training, and at full size alone in evaluation."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU())
        self.heads = nn.ModuleList(nn.Conv2d(8, channels, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        body = self.body(x)
        if not self.training:
            return self.heads[0](body)
        sizes = (1, 2, 4)
        return [
            head(nn.functional.avg_pool2d(body, size))
            for head, size in zip(self.heads, sizes, strict=True)
        ]


def pixels() -> tuple[Tensor, Tensor]:
    labels = torch.zeros(8, 1, 16, 16, dtype=torch.long)
    labels[:, :, 2:10, 3:9] = 1
    labels[:, :, 8:, 8:] = 2
    return labels.float() + 0.3 * torch.randn(8, 1, 16, 16), labels


@pytest.mark.parametrize(
    "options", [{}, {"weight_mode": "two"}, {"weight_mode": "same"}, {"weights": [3.0, 2.0, 1, 9]}]
)
@pytest.mark.parametrize("name", ["dice_ce", "dice", "focal"])
def test_it_is_that_of_monai(name: str, options: dict[str, Any]) -> None:
    kind = {"dice_ce": "DiceCELoss", "dice": "DiceLoss", "focal": "FocalLoss"}[name]
    softmax = {"use_softmax" if name == "focal" else "softmax": True}
    criterion = getattr(monai.losses, kind)(to_onehot_y=True, **softmax)
    (images, labels), model = pixels(), Pyramid()
    truth = monai.losses.DeepSupervisionLoss(criterion, **options)
    expected = truth(model(images), labels.float())
    loss_fn = get_loss("deep_supervision", loss=name, **options)
    for given in (labels, labels[:, 0]):
        loss, metrics = loss_fn((images, given), model)
        torch.testing.assert_close(loss, expected)
        parameters = list(model.parameters())
        torch.testing.assert_close(
            torch.autograd.grad(loss, parameters),
            torch.autograd.grad(expected, parameters, retain_graph=True),
        )
    assert 0 <= metrics["dice_score"] <= 1


def test_its_terms_add_up() -> None:
    batch, model = pixels(), Pyramid()
    loss, metrics = get_loss("deep_supervision", loss={"name": "dice_ce", "dice_score": False})(
        batch, model
    )
    torch.testing.assert_close(metrics["dice"] + metrics["ce"], loss)
    assert metrics.keys() == {"dice", "ce"}


def test_one_output_is_the_loss_itself() -> None:
    batch, model = pixels(), Pyramid().eval()
    ours, metrics = get_loss("deep_supervision")(batch, model)
    loss, expected = get_loss("dice_ce")(batch, model)
    assert ours == loss
    assert metrics == expected


@pytest.mark.slow
def test_it_trains_and_keeps_the_contract() -> None:
    batch, model = pixels(), Pyramid()
    check_loss(get_loss("deep_supervision"), batch, model)
    config = TrainConfig(max_iter=40, batch_size=4, val_every=1, verbose=False)
    loss_fn = {"name": "deep_supervision", "loss": {"name": "dice", "include_background": False}}
    trainer = Trainer(model, {"name": "adam", "lr": 1e-2}, config, loss_fn=loss_fn)
    trainer.fit(batch, batch)
    assert trainer.history[-1]["train_loss"] < 0.7 * trainer.history[0]["train_loss"]
    assert trainer.history[-1]["val_dice_score"] > 0.8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_mode": "linear"}, "weight_mode='linear': expected 'exp', 'same' or 'two'"),
        ({"weights": []}, r"weights=\[\]"),
        ({"weights": [1.0, -1.0]}, "0 or more"),
        ({"loss": "dise"}, "did you mean"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PerceptrainError, match=f"(?i){message}"):
        get_loss("deep_supervision", **options)


def test_what_cannot_be() -> None:
    batch = pixels()
    with pytest.raises(
        ConfigError, match="the model returned 3 levels; expected a weight for each"
    ):
        get_loss("deep_supervision", weights=[1.0])(batch, Pyramid())
    with pytest.raises(DataError, match="returned no outputs"):
        get_loss("deep_supervision")(batch, lambda x: [])
    with pytest.raises(DataError, match="The model returned a str"):
        get_loss("deep_supervision")(batch, lambda x: ["logits"])
    with pytest.raises(DataError, match="The labels are list"):
        get_loss("deep_supervision")((batch[0], [1]), Pyramid())
