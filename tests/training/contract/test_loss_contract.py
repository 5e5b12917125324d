"""What a loss may return, and what it is told when it returns something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import Trainer
from perceptrain.errors import LossContractError

MakeTrainer = Callable[..., Trainer]
Rows = tuple[Tensor, Tensor]


def mse(batch: Rows, model: nn.Module) -> Tensor:
    return F.mse_loss(model(batch[0]), batch[1])


WRONG: dict[str, tuple[Callable[[Rows, nn.Module], Any], str]] = {
    "bare tensor": (mse, r"returned a tensor of shape \(\).* alone; .*`return loss, \{\}`"),
    "nothing": (lambda b, m: None, "returned None; a loss is called as"),
    "three things": (lambda b, m: (mse(b, m), {}, {}), "returned a tuple of 3 elements"),
    "vector": (
        lambda b, m: (m(b[0]), {}),
        r"a tensor of shape \(5, 1\).*no dimensions. Reduce it, e.g. with loss.mean\(\)",
    ),
    "one element": (lambda b, m: (mse(b, m).reshape(1), {}), r"shape \(1,\).*no dimensions"),
    "float": (lambda b, m: (mse(b, m).item(), {}), r"The loss is \d.*without .item\(\)"),
    "array": (lambda b, m: (np.float32(1), {}), r"The loss is np.float32\(1.0\)"),
    "complex": (lambda b, m: (mse(b, m) * 1j, {}), "it must be real, e.g. loss.real"),
    "no metrics": (lambda b, m: (mse(b, m), None), r"metrics are None; .* return \{\} for none"),
    "list of metrics": (
        lambda b, m: (mse(b, m), [1.0]),
        "a list of 1 element; they must be a dict",
    ),
    "metric that is a vector": (
        lambda b, m: (mse(b, m), {"error": m(b[0])}),
        r"metric 'error' must be a number or a 0-dim tensor, got a tensor of shape \(5, 1\)",
    ),
    "metric that is a text": (lambda b, m: (mse(b, m), {"a": "b"}), "metric 'a' must be a number"),
    "metric that is an array": (lambda b, m: (mse(b, m), {"a": np.ones(1)}), "'a' must be a num"),
    "metric without a name": (lambda b, m: (mse(b, m), {3: 1.0}), "names must be strings, got 3"),
    "detached": (lambda b, m: (mse(b, m).detach(), {}), "does not depend on the parameters"),
    "without the model": (lambda b, m: (torch.tensor(1.0), {}), "does not depend on the param"),
    "of the labels": (
        lambda b, m: (b[1].clone().requires_grad_().mean(), {}),
        "does not depend on the parameters of FFNN. Compute it from model",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_refused_on_the_first_batch_and_nothing_has_changed(
    make_trainer: MakeTrainer, case: str
) -> None:
    loss_fn, message = WRONG[case]
    trainer = make_trainer(loss_fn)
    before = [p.detach().clone() for p in trainer.model.parameters()]
    with pytest.raises(LossContractError, match=message) as caught:
        trainer.fit()
    assert isinstance(caught.value, TypeError)
    assert all(map(torch.equal, before, trainer.model.parameters()))
    assert trainer.global_step == 0


def test_loss_of_another_model(
    make_trainer: MakeTrainer, make_net: Callable[..., nn.Module]
) -> None:
    other = make_net()
    trainer = make_trainer(lambda batch, model: (mse(batch, other), {}))
    with pytest.raises(LossContractError, match="does not depend on the parameters of FFNN"):
        trainer.fit()


def test_model_without_a_trainable_parameter(
    make_trainer: MakeTrainer, make_net: Callable[..., nn.Module]
) -> None:
    model = make_net()
    optimizer = torch.optim.Adam(model.parameters())
    model.requires_grad_(False)
    with pytest.raises(LossContractError, match="FFNN has no parameter with requires_grad"):
        make_trainer(model=model, optimizer=optimizer).fit()


@pytest.mark.parametrize(
    "value",
    [2, 0.5, True, np.float32(0.5), np.int64(2), torch.tensor(0.5), torch.tensor(2)],
    ids=lambda value: type(value).__name__,
)
def test_numbers_of_any_kind_are_metrics(make_trainer: MakeTrainer, value: Any) -> None:
    """A metric may be a Python float."""
    trainer = make_trainer(lambda batch, model: (mse(batch, model), {"it": value}))
    trainer.fit()
    assert trainer.history[0]["train_it"] == pytest.approx(float(value))


def test_a_list_of_two_is_as_good_as_a_tuple(make_trainer: MakeTrainer) -> None:
    make_trainer(lambda batch, model: [mse(batch, model), {}]).fit()


def test_metrics_may_vary_from_batch_to_batch(make_trainer: MakeTrainer) -> None:
    calls = 0

    def loss_fn(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        nonlocal calls
        calls += 1
        return mse(batch, model), {"all": calls, **({"odd": calls} if calls % 2 else {})}

    trainer = make_trainer(loss_fn, max_iter=1)
    trainer.fit()
    assert trainer.history[0]["train_all"] == 2.5  # 1, 2, 3, 4
    assert trainer.history[0]["train_odd"] == 2.0  # 1, 3


def test_metric_that_becomes_a_vector_later(make_trainer: MakeTrainer) -> None:
    calls = iter([torch.tensor(1.0), *[torch.ones(3)] * 9])
    trainer = make_trainer(lambda b, m: (mse(b, m), {"error": next(calls)}))
    with pytest.raises(LossContractError, match=r"'error' must be a number.*shape \(3,\)"):
        trainer.fit()


@pytest.mark.parametrize("part", ["first", "last"])
def test_a_loss_of_a_part_of_the_model_is_enough(make_trainer: MakeTrainer, part: str) -> None:
    layer = 0 if part == "first" else 2

    def loss_fn(batch: Rows, model: Any) -> tuple[Tensor, dict[str, Any]]:
        return model.network[layer].weight.square().sum(), {}

    make_trainer(loss_fn).fit()


def test_the_check_computes_no_gradient(make_trainer: MakeTrainer) -> None:
    backwards = 0

    def count(gradient: Tensor) -> None:
        nonlocal backwards
        backwards += 1

    def loss_fn(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        loss = mse(batch, model)
        loss.register_hook(count)
        return loss, {}

    trainer = make_trainer(loss_fn)
    trainer.fit()
    assert backwards == trainer.global_step
