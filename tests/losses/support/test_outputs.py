"""What losses say about the outputs of a model, and the predictions made of them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from perceptrain import (
    TrainConfig,
    Trainer,
    WeightedLoss,
    get_loss,
    output_activation,
    registry,
    supervised,
)
from perceptrain.errors import ConfigError, ConformanceError
from perceptrain.testing import check_loss
from perceptrain_core.losses.support.outputs import (
    activate,
    output_size,
    outputs_per_label,
    point_predictor,
)

BUILT_IN = {
    "cross_entropy": "softmax",
    "bce_with_logits": "sigmoid",
    "soft_margin": "sigmoid",
    "nll": "exp",
    "kl_div": "exp",
    "poisson_nll": "exp",
}


def own(batch: Any, model: nn.Module) -> Any:
    return model(batch[0]).mean(), {}


def with_option(batch: Any, model: nn.Module, *, logits: bool = True) -> Any:
    return own(batch, model)


with_option.output_activation = lambda logits=True: "softmax" if logits else None  # type: ignore[attr-defined]


def test_every_built_in_loss() -> None:
    names = [name for name, e in registry().losses.items() if e.distribution == "perceptrain-core"]
    said = {name: output_activation(get_loss(name)) for name in names if name != "grad_weighted"}
    assert {name: activation for name, activation in said.items() if activation} == BUILT_IN
    assert len(said) > len(BUILT_IN)


@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        (nn.CrossEntropyLoss(), "softmax"),
        (partial(F.cross_entropy, label_smoothing=0.1), "softmax"),
        (nn.BCEWithLogitsLoss(), "sigmoid"),
        (nn.BCELoss(), None),
        (nn.NLLLoss(), "exp"),
        (nn.PoissonNLLLoss(), "exp"),
        (nn.PoissonNLLLoss(log_input=False), None),
        (partial(F.poisson_nll_loss, log_input=False), None),
        (nn.MSELoss(), None),
    ],
)
def test_criteria_of_torch(loss: Any, activation: str | None) -> None:
    assert output_activation(loss) == activation
    assert output_activation(supervised(loss)) == activation


def test_a_criterion_may_say_so_itself() -> None:
    class Focal(nn.Module):
        output_activation = "sigmoid"

        def forward(self, outputs: Any, labels: Any) -> Any:
            return (outputs - labels).mean()

    assert output_activation(supervised(Focal())) == "sigmoid"


# The import of the compiler warns of torch's own calls.
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_wrappers_pass_it_on() -> None:
    smoothed = get_loss("cross_entropy", label_smoothing=0.1)
    assert output_activation(smoothed) == "softmax"
    assert output_activation(WeightedLoss(smoothed, "relobralo")) == "softmax"
    assert output_activation(WeightedLoss(nn.NLLLoss(), "relobralo")) == "exp"
    assert output_activation(torch.compile(nn.CrossEntropyLoss())) == "softmax"
    assert output_activation(get_loss("poisson_nll", log_input=False)) is None


def test_options_of_a_function_decide() -> None:
    assert output_activation(with_option) == "softmax"
    assert output_activation(partial(partial(with_option, logits=True), logits=False)) is None
    assert output_activation(own) is None


def test_another_value_is_an_error() -> None:
    class Wrong(nn.Module):
        output_activation = "relu"

        def forward(self, batch: Any, model: nn.Module) -> Any:
            return own(batch, model)

    with pytest.raises(ConfigError, match=r"Wrong: output_activation='relu': expected"):
        output_activation(Wrong())
    with pytest.raises(ConformanceError, match=r"output_activation='relu'"):
        check_loss(Wrong(), (torch.randn(4, 2), torch.randn(4, 1)), nn.Linear(2, 1))


class _Members:
    def __init__(self, members: int) -> None:
        self.members = members

    @staticmethod
    def output_size(size: int, members: int = 2, **others: Any) -> int:
        return size * members


def test_outputs_per_label() -> None:
    assert output_size(get_loss("gaussian_nll"), 3) == 6
    assert output_size(get_loss("quantile", quantiles=[0.1, 0.5]), 1) == 2
    assert output_size(get_loss("mse"), 3) == 3
    assert output_size(_Members(4), 3) == 12
    assert output_size(_Members, 3) == 6
    assert output_size(_Members, 3, members=5) == 15
    assert outputs_per_label(get_loss("gaussian_nll")) == 2
    assert outputs_per_label(get_loss("gaussian_nll", full=True)) == 2
    assert outputs_per_label(get_loss("mse")) == 1


def test_predictions() -> None:
    outputs = torch.randn(5, 3, 2)
    assert activate(outputs, None) is outputs
    torch.testing.assert_close(activate(outputs, "softmax").sum(1), torch.ones(5, 2))
    torch.testing.assert_close(activate(outputs, "exp").log(), outputs)
    torch.testing.assert_close(activate(outputs, "sigmoid"), 1 / (1 + (-outputs).exp()))


@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 1, 2)])
def test_one_class_has_a_channel_by_itself(shape: tuple[int, ...]) -> None:
    outputs = torch.randn(shape)
    assert torch.equal(activate(outputs, "softmax"), outputs.sigmoid())


def test_a_model_that_returns_mean_and_variance_predicts_the_mean() -> None:
    mean, variance, labels = torch.rand(4, 2), torch.rand(4, 2), torch.rand(4, 2)
    predict = point_predictor(partial(get_loss("gaussian_nll"), full=True))
    assert torch.equal(predict((mean, variance), labels), mean)
    assert torch.equal(predict(torch.cat([mean, variance], 1), labels), mean)
    assert torch.equal(predict(mean, labels), mean)


class _Middle(nn.Module):
    """Its predictions are the third of five outputs for each column."""

    def point_prediction(self, outputs: Any, labels: Any) -> Any:
        return outputs.reshape(*labels.shape, 5)[..., 2]

    def forward(self, batch: Any, model: nn.Module) -> Any:
        return (self.point_prediction(model(batch[0]), batch[1]) - batch[1]).abs().mean(), {}


def test_a_loss_may_say_itself_what_it_predicts() -> None:
    outputs, labels = torch.arange(40.0).reshape(4, 10), torch.zeros(4, 2)
    for loss in (_Middle(), partial(_Middle()), WeightedLoss(_Middle(), "relobralo")):
        found = point_predictor(loss)(outputs, labels)
        assert found.tolist() == [[2, 7], [12, 17], [22, 27], [32, 37]]


def test_a_metric_of_regression_sees_what_a_loss_predicts() -> None:
    x, labels = torch.randn(6, 10), torch.randn(6, 2)
    config = TrainConfig(batch_size=4, verbose=False, tracking_tool="none")
    data = x, labels
    trainer = Trainer(nn.Identity(), None, config, _Middle(), None, data, metrics=["mae", "rmse"])
    row = trainer.validate()
    errors = x[:, [2, 7]] - labels
    assert row["val_mae"] == pytest.approx(row["val_loss"])
    assert row["val_rmse"] == pytest.approx(errors.square().mean().sqrt().item())
