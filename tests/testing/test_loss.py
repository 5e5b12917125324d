"""One good loss of every shape passes; one bad loss for every fault is told apart."""

from __future__ import annotations

import functools
import random

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import FFNN, PINN, get_loss, supervised
from perceptrain.errors import ConformanceError
from perceptrain.testing import check_loss

from .losses import ROWS, good


def slope(points, network):
    values = network(points)
    return torch.autograd.grad(values.sum(), points, create_graph=True)[0] + values


class Uncertain(nn.Module):
    """A loss with a parameter and a buffer of its own."""

    def __init__(self):
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, batch, model):
        if self.training:
            self.steps = self.steps + 1
        loss, metrics = good(batch, model)
        return loss * torch.exp(-self.log_scale) + self.log_scale, metrics


class Counting:
    """A loss with a state that is no module's."""

    def __init__(self):
        self.calls = 0

    def __call__(self, batch, model):
        if torch.is_grad_enabled() and model.training:
            self.calls += 1
        loss, _ = good(batch, model)
        return loss * (1 + self.calls), {"calls": self.calls}

    def state_dict(self):
        return {"calls": self.calls}

    def load_state_dict(self, state):
        self.calls = state["calls"]


def noisy(batch, model):
    noise = torch.randn_like(batch[1]) * (1 + random.random() + np.random.rand())
    return F.mse_loss(model(batch[0]), batch[1] + noise.abs()), {}


@pytest.mark.parametrize(
    "loss_fn",
    [
        good,
        noisy,
        get_loss("mse"),
        get_loss("huber", delta=0.3),
        functools.partial(get_loss("l1"), reduction="sum"),
        supervised(nn.SmoothL1Loss()),
        Uncertain(),
        Counting(),
    ],
)
def test_good_losses_pass(loss_fn, batch, model):
    check_loss(loss_fn, batch, model)


@pytest.mark.parametrize("name", ["cross_entropy", "multi_margin"])
def test_classes_keep_their_integers(name, batch):
    labels = torch.arange(ROWS) % 3
    check_loss(get_loss(name), (batch[0], labels), FFNN([2, 8, 3], nn.Tanh()))


def test_a_tensor_alone_and_a_list(batch, model):
    check_loss(lambda batch, model: (model(batch).square().mean(), {}), batch[0], model)
    check_loss(good, list(batch), model)


@pytest.mark.parametrize("name", ["mse", "l1"])
def test_points_of_a_pinn(name):
    points = {"inner": torch.rand(5, 1), "edge": torch.zeros(1, 1)}
    network = PINN(FFNN([1, 8, 1], nn.Tanh()), {"inner": slope, "edge": slope})
    check_loss(get_loss(name), points, network)
    weighted = get_loss("grad_weighted", fixed_metric="inner", every=1)
    check_loss(weighted, points, network)


def test_it_leaves_everything_as_it_was(batch, model):
    loss_fn = Uncertain()
    model.eval()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    batch[0].requires_grad_()
    before = [item.detach().clone() for item in (*batch, *model.state_dict().values())]
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    expected = torch.rand(1).item(), random.random(), np.random.rand()
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    with torch.no_grad():
        check_loss(loss_fn, batch, model)
        assert not torch.is_grad_enabled()
    assert (torch.rand(1).item(), random.random(), np.random.rand()) == expected
    after = [*batch, *model.state_dict().values()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert not model.training
    assert loss_fn.training
    assert loss_fn.steps == 0
    assert loss_fn.log_scale.grad is None
    assert torch.equal(model[0].weight.grad, torch.ones_like(model[0].weight))
    assert batch[0].grad is None


def with_side_effect(effect):
    def loss_fn(batch, model):
        result = good(batch, model)
        with torch.no_grad():
            effect(batch, model)
        return result

    return loss_fn


def first_parameter(model) -> Tensor:
    return next(model.parameters())


def fill_gradient(batch, model):
    if first_parameter(model).grad is not None:
        first_parameter(model).grad.zero_()


def drop_gradient(batch, model):
    first_parameter(model).grad = None


def freeze(batch, model):
    first_parameter(model).requires_grad_(False)


def only_in_evaluation(batch, model):
    if not model.training:
        model[1].running_mean.add_(1)


def constant(batch, model):
    return torch.tensor(1.0), {}


def detached(batch, model):
    return good((batch[0], batch[1]), model)[0].detach().requires_grad_(), {}


def infinite_gradient(batch, model):
    outputs = model(batch[0])
    return (outputs - outputs.detach()).abs().sqrt().sum(), {}


def only_with_gradients(batch, model):
    loss, metrics = good(batch, model)
    return loss + torch.is_grad_enabled(), metrics


def raises_without_gradients(batch, model):
    loss, metrics = good(batch, model)
    torch.autograd.grad(loss, first_parameter(model), retain_graph=True)
    return loss, metrics


def single(batch, model):
    return F.mse_loss(model(batch[0]).float(), batch[1].float()), {}


def default_dtype(batch, model):
    return F.mse_loss(model(batch[0]) @ torch.ones(1, 1), batch[1]), {}


def by_dtype(batch, model):
    loss, metrics = good(batch, model)
    return loss + (batch[0].dtype == torch.float64), metrics


class Hidden:
    """Its calls are counted where no copy reaches."""

    def __init__(self, rename):
        self.rename, self.calls = rename, []

    def __deepcopy__(self, memo):
        return self

    def __call__(self, batch, model):
        self.calls.append(1)
        loss, metrics = good(batch, model)
        if self.rename:
            return loss, {f"call{len(self.calls)}": loss}
        return loss * (1 + 0.1 * len(self.calls)), metrics


class Forgets(Counting):
    def load_state_dict(self, state):
        pass


class Unrelated(Counting):
    """What it saves says nothing about what it does."""

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


class Pickled(Counting):
    def state_dict(self):
        return {"self": Counting}


class NoCopy:
    def __deepcopy__(self, memo):
        raise TypeError("cannot be copied")

    __call__ = staticmethod(good)


RESULT, REACHES = "returns (loss, metrics)", "reaches the parameters of the model"
WITHOUT, CHANGES = "works without gradients", "does not change its inputs"
TWICE, DOUBLE = "returns the same result twice", "moves to float64"
STATE = "saves its state in state_dict"

BAD = {
    "bare tensor": (lambda b, m: good(b, m)[0], RESULT, "alone"),
    "vector": (lambda b, m: ((m(b[0]) - b[1]).square(), {}), RESULT, "no dimensions"),
    "number": (lambda b, m: (good(b, m)[0].item(), {}), RESULT, "must be a 0-dim tensor"),
    "complex": (lambda b, m: (good(b, m)[0] * 1j, {}), RESULT, "must be real"),
    "no dict": (lambda b, m: (good(b, m)[0], [1]), RESULT, "must be a dict"),
    "metric vector": (lambda b, m: (good(b, m)[0], {"a": b[1]}), RESULT, "The metric 'a'"),
    "nan": (lambda b, m: (good(b, m)[0] * torch.nan, {}), RESULT, "loss is nan; finite numbers"),
    "raises": (lambda b, m: 1 / 0, RESULT, "it raised ZeroDivisionError: division by zero"),
    "no copy": (NoCopy(), RESULT, "it raised TypeError: cannot be copied"),
    "constant": (constant, REACHES, "does not depend on the parameters"),
    "detached": (detached, REACHES, "does not depend on the parameters"),
    "infinite gradient": (infinite_gradient, REACHES, "is NaN or infinite"),
    "other value": (
        only_with_gradients,
        WITHOUT,
        "under torch.no_grad(); the same value was expected",
    ),
    "needs gradients": (raises_without_gradients, WITHOUT, "it raised RuntimeError"),
    "batch": (with_side_effect(lambda b, m: b[1].add_(1)), CHANGES, "batch[1] changed"),
    "points": (
        with_side_effect(lambda b, m: b[0].requires_grad_()),
        CHANGES,
        "requires_grad of batch[0] changed",
    ),
    "parameter": (
        with_side_effect(lambda b, m: first_parameter(m).add_(1)),
        CHANGES,
        "the parameter '0.weight' changed",
    ),
    "buffer": (
        with_side_effect(only_in_evaluation),
        CHANGES,
        "the buffer '1.running_mean' changed",
    ),
    "gradient": (
        with_side_effect(fill_gradient),
        CHANGES,
        ".grad of the parameter '0.weight' changed",
    ),
    "no gradient": (with_side_effect(drop_gradient), CHANGES, ".grad of the parameter '0.weight'"),
    "frozen": (with_side_effect(freeze), CHANGES, "requires_grad of the parameter '0.weight'"),
    "mode": (
        with_side_effect(lambda b, m: m.train(not m.training)),
        CHANGES,
        "the training mode of the model changed",
    ),
    "other result": (Hidden(rename=False), TWICE, "from the same random seed"),
    "other metrics": (Hidden(rename=True), TWICE, "its metrics are"),
    "float32": (single, DOUBLE, "it is torch.float32; make tensors with the dtype"),
    "default dtype": (default_dtype, DOUBLE, "it raised RuntimeError"),
    "other in float64": (by_dtype, DOUBLE, "in torch.float32, but"),
    "forgets": (Forgets(), STATE, "state_dict()['calls'] changed"),
    "unrelated": (Unrelated(), STATE, "restored from its state_dict it is"),
    "pickled": (Pickled(), STATE, "it raised"),
}


@pytest.mark.parametrize(("loss_fn", "check", "reason"), BAD.values(), ids=BAD)
def test_every_fault_is_told(loss_fn, check, reason, batch, model):
    with pytest.raises(ConformanceError) as caught:
        check_loss(loss_fn, batch, model)
    assert torch.get_default_dtype() is torch.float32
    title, *lines = str(caught.value).splitlines()
    assert title.startswith("The loss ")
    assert title.endswith(" does not keep the contract.")
    assert any(line.startswith(f"- {check}: ") and reason in line for line in lines), lines


def test_a_dict_whose_keys_it_changes(model, batch):
    def pops(batch, model):
        labels = batch.pop("y")
        batch["z"] = labels
        return good((batch["x"], labels), model)

    with pytest.raises(ConformanceError) as caught:
        check_loss(pops, {"x": batch[0], "y": batch[1]}, model)
    assert str(caught.value).splitlines() == [
        "The loss 'pops' does not keep the contract.",
        "- does not change its inputs: batch['y'] is missing",
        "- does not change its inputs: batch['z'] is new",
    ]


def test_a_model_without_parameters(batch):
    with pytest.raises(ConformanceError, match="no parameter with requires_grad"):
        check_loss(lambda b, m: (m(b[0]).mean(), {}), batch, nn.Identity())
