"""What a loss leaves behind, keeps and assumes: one bad loss for every fault."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from perceptrain.errors import ConformanceError
from perceptrain.testing import check_loss

from .losses import ROWS, good


class Steps:
    """It counts its steps, and a resumed run would count them anew."""

    def __init__(self):
        self.steps = 0

    def __call__(self, batch, model):
        self.steps += model.training
        loss, metrics = good(batch, model)
        return loss * max(1, self.steps - 3), metrics


class StepsOfModule(nn.Module):
    """The same, in an attribute that is no buffer."""

    def __init__(self):
        super().__init__()
        self.steps = 0

    forward = Steps.__call__


class OwnGenerator:
    """It draws from a generator whose state nobody saves."""

    def __init__(self):
        self.generator = np.random.default_rng()

    def __call__(self, batch, model):
        loss, metrics = good(batch, model)
        return loss * (1 + self.generator.random()), metrics


class Keeps:
    """It keeps something of its last step."""

    def __init__(self, what):
        self.what, self.kept, self.metrics = what, [], {}

    def __call__(self, batch, model):
        loss, metrics = good(batch, model)
        if self.what == "loss":
            self.kept = [loss]
        if self.what == "metrics":
            metrics = self.metrics
            metrics["mse"] = loss.detach()
        return loss, metrics


class Weighted:
    """Weights of its own, which are in no buffer."""

    def __init__(self):
        self.weights = torch.ones(ROWS, 1)

    def __call__(self, batch, model):
        return (self.weights.to(batch[0].dtype) * (model(batch[0]) - batch[1]) ** 2).mean(), {}


def own_graph(batch, model):
    loss, _ = good(batch, model)
    return loss, {"mae": F.l1_loss(model(batch[0]), batch[1])}


def rounded(batch, model):
    outputs = model(batch[0])
    return F.mse_loss(outputs.detach(), batch[1]) + 0 * outputs.sum(), {}


def tensors_of_the_cpu(batch, model):
    return (torch.ones(ROWS, 1, dtype=batch[0].dtype) * model(batch[0])).sum(), {}


def number_of_the_cpu(batch, model):
    total = torch.zeros((), dtype=batch[0].dtype)
    for outputs in model(batch[0]).cpu() if batch[0].device.type == "cpu" else [total]:
        total = total + outputs.sum()
    return total, {}


def seeds(library):
    def loss_fn(batch, model):
        {"torch": torch.manual_seed, "NumPy": np.random.seed, "Python": random.seed}[library](3)
        return good(batch, model)

    return loss_fn


class OwnParameter:
    """Its parameter is nobody's."""

    def __init__(self):
        self.scale = nn.Parameter(torch.ones(()))

    def __call__(self, batch, model):
        loss, metrics = good(batch, model)
        return loss * self.scale.to(loss.dtype), metrics


class MovesInValidation(nn.Module):
    """A mean that validation changes too."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.ones(()))

    def forward(self, batch, model):
        loss, metrics = good(batch, model)
        self.mean = 0.9 * self.mean + 0.1 * loss.detach()
        return loss, metrics


class Baseline:
    """The first loss is kept, and all are relative to it."""

    first = None

    def __call__(self, batch, model):
        loss, metrics = good(batch, model)
        if model.training and self.first is None:
            self.first = loss.detach()
        return loss / (1 if self.first is None else self.first.to(loss.dtype)), metrics


class Late(Steps):
    """Its steps matter when the check is over."""

    def __call__(self, batch, model):
        self.steps += model.training
        loss, metrics = good(batch, model)
        return loss * (2 if self.steps > 99 else 1), metrics


def by_class(batch, model):
    loss, metrics = good(batch, model)
    return loss * (2 if isinstance(model, nn.Sequential) else 1), metrics


def by_index(batch, model):
    loss, metrics = good(batch, model)
    return loss + model[0].weight.square().sum(), metrics


def backward(batch, model):
    loss, _ = good(batch, model)
    loss.backward()
    return good(batch, model)


def sets_environment(batch, model):
    os.environ["OF_A_LOSS"] = "1"
    return good(batch, model)


def sets_default(batch, model):
    torch.set_default_dtype(torch.float64)
    return good(batch, model)


def turns_gradients_off(batch, model):
    result = good(batch, model)
    torch.set_grad_enabled(False)
    return result


def hooks(batch, model):
    model.register_forward_hook(lambda *_: None)
    return good(batch, model)


REACHES, CHANGES = "reaches the parameters of the model", "does not change its inputs"
GRAPH, PROCESS = "keeps no extra graph", "does not change the process"
RESULT, WITHOUT = "returns (loss, metrics)", "works without gradients"
WRAPPED = "works with a wrapped model"
STATE, DEVICE = "saves its state in state_dict", "moves to another device"

BAD = {
    "steps": (Steps(), STATE, "implement state_dict and load_state_dict"),
    "steps of a module": (StepsOfModule(), STATE, "restored from its state_dict it is"),
    "own generator": (OwnGenerator(), STATE, "from a fresh start, as in a resumed run"),
    "own graph": (own_graph, GRAPH, "the metric 'mae' has a graph that is not part of the loss's"),
    "kept loss": (Keeps("loss"), GRAPH, "it keeps the loss with its graph after the step"),
    "same dict": (Keeps("metrics"), GRAPH, "the same dict of metrics each time"),
    "rounded": (
        rounded,
        REACHES,
        "its gradient is zero everywhere, although changing the parameters",
    ),
    "cpu tensors": (tensors_of_the_cpu, DEVICE, "make tensors on the device of the batch"),
    "cpu weights": (Weighted(), DEVICE, "as buffers of an nn.Module"),
    "cpu number": (number_of_the_cpu, DEVICE, "it is still on cpu"),
    "seeds torch": (seeds("torch"), PROCESS, "seeds the global random numbers of torch"),
    "seeds numpy": (seeds("NumPy"), PROCESS, "seeds the global random numbers of NumPy"),
    "seeds python": (seeds("Python"), PROCESS, "seeds the global random numbers of Python"),
    "own parameter": (
        OwnParameter(),
        REACHES,
        "that is not trained: make a loss with parameters an",
    ),
    "moves in validation": (MovesInValidation(), CHANGES, "the state of the loss['mean'] changed"),
    "baseline": (Baseline(), STATE, "implement state_dict and load_state_dict"),
    "late": (Late(), STATE, "its steps is 5 after 5 steps, and 0 in a resumed run"),
    "metric loss": (lambda b, m: (good(b, m)[0], {"loss": 7.0}), RESULT, "'loss', "),
    "metric nan": (lambda b, m: (good(b, m)[0], {"a": torch.nan}), RESULT, "term 'a' is nan"),
    "complex": (lambda b, m: (good(b, m)[0], {"a": torch.tensor(1j)}), RESULT, "'a' is complex"),
    "by class": (by_class, WRAPPED, "decide by what the model returned, not by its class"),
    "by index": (by_index, WRAPPED, "it raised"),
    "backward": (backward, WITHOUT, "do not call backward"),
    "environment": (sets_environment, PROCESS, "it changes the environment for the whole process"),
    "default": (sets_default, PROCESS, "it changes the default dtype for the whole process"),
    "gradients off": (turns_gradients_off, PROCESS, "it changes the gradient mode for the whole"),
    "hooks": (hooks, CHANGES, "the hooks of the model changed"),
}


@pytest.mark.parametrize(("loss_fn", "check", "reason"), BAD.values(), ids=BAD)
def test_every_fault_is_told(loss_fn, check, reason, batch, model):
    with pytest.raises(ConformanceError) as caught:
        check_loss(loss_fn, batch, model)
    assert torch.get_default_dtype() is torch.float32
    _, *lines = str(caught.value).splitlines()
    assert any(line.startswith(f"- {check}: ") and reason in line for line in lines), lines


class Lookup(nn.Module):
    """A model that is not for the meta device."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)

    def forward(self, x):
        return self.linear(x) + torch.ones(len(x), 1).to(x.dtype)


def test_what_needs_numbers_or_is_a_fault_of_the_model_is_none_of_the_loss(batch, model):
    def needs_numbers(batch, model):
        if (batch[1] > 100).any():
            raise ValueError
        return good(batch, model)

    check_loss(needs_numbers, batch, model)
    check_loss(good, batch, Lookup())


def test_terms_that_add_up_to_the_loss_may_hold_a_graph(batch, model):
    def halves(batch, model):
        errors = F.mse_loss(model(batch[0]), batch[1], reduction="none")
        return errors.mean(), {"first": errors[:2].sum(), "rest": errors[2:].sum()}

    check_loss(halves, batch, model)

    def one_too_many(batch, model):
        loss, metrics = halves(batch, model)
        return loss, metrics | {"slope": model(batch[0]).mean()}

    with pytest.raises(ConformanceError, match="the metric 'slope' has a graph") as caught:
        check_loss(one_too_many, batch, model)
    assert len(str(caught.value).splitlines()) == 2


def test_terms_that_the_loss_is_made_of_may_hold_its_graph(batch, model):
    def terms(batch, model):
        outputs = model(batch[0])
        terms = {"a": F.mse_loss(outputs, batch[1]), "b": outputs.abs().mean()}
        return terms["a"] + 0.1 * terms["b"], terms

    check_loss(terms, batch, model)


class Remembers(nn.Module):
    """A model that keeps what it last gave, as for a picture of its attention."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)

    def forward(self, x):
        self.last = self.linear(x)
        return self.last


def test_what_draws_numbers_or_keeps_an_output_in_the_model_passes(batch, model):
    def noisy(batch, model):
        return F.mse_loss(model(batch[0] + torch.randn_like(batch[0])), batch[1]), {}

    check_loss(noisy, batch, model)
    check_loss(good, batch, Remembers())


class HoldsTheModel:
    """A loss that knows the model from elsewhere, batch norm and all."""

    def __init__(self, model):
        self.model = model

    def __call__(self, batch, model):
        return F.mse_loss(self.model(batch[0]), batch[1]), {}


def test_a_loss_that_holds_the_model_passes(batch, model):
    check_loss(HoldsTheModel(model), batch, model)


def test_sparse_gradients_pass():
    model = nn.Sequential(nn.Embedding(5, 3, sparse=True), nn.Linear(3, 1))
    check_loss(good, (torch.arange(ROWS) % 5, torch.rand(ROWS, 1)), model)
