"""What a loss leaves behind, keeps and assumes: one bad loss for every fault."""

from __future__ import annotations

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


REACHES, CHANGES = "reaches the parameters of the model", "changes nothing that it is given"
GRAPH, PROCESS = "holds no graph of its own", "leaves the process as it is"
STATE, DEVICE = "keeps its state in state_dict", "moves to another device"

BAD = {
    "steps": (Steps(), STATE, "give it state_dict and load_state_dict"),
    "steps of a module": (StepsOfModule(), STATE, "restored from its state_dict it is"),
    "own generator": (OwnGenerator(), STATE, "when it begins anew, as in a resumed run"),
    "own graph": (own_graph, GRAPH, "the metric 'mae' holds a graph that the loss is not made of"),
    "kept loss": (Keeps("loss"), GRAPH, "it keeps the loss with its graph after the step"),
    "same dict": (Keeps("metrics"), GRAPH, "the same dict of metrics each time"),
    "rounded": (rounded, REACHES, "its gradient is zero everywhere, though it goes from"),
    "cpu tensors": (tensors_of_the_cpu, DEVICE, "make tensors on the device of the batch"),
    "cpu weights": (Weighted(), DEVICE, "in buffers of an nn.Module"),
    "cpu number": (number_of_the_cpu, DEVICE, "it is still on cpu"),
    "seeds torch": (seeds("torch"), PROCESS, "seeds the random numbers of torch"),
    "seeds numpy": (seeds("NumPy"), PROCESS, "seeds the random numbers of NumPy"),
    "seeds python": (seeds("Python"), PROCESS, "seeds the random numbers of Python"),
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

    with pytest.raises(ConformanceError, match="the metric 'slope' holds a graph") as caught:
        check_loss(one_too_many, batch, model)
    assert len(str(caught.value).splitlines()) == 2


def test_terms_that_the_loss_is_made_of_may_hold_its_graph(batch, model):
    def terms(batch, model):
        outputs = model(batch[0])
        terms = {"a": F.mse_loss(outputs, batch[1]), "b": outputs.abs().mean()}
        return terms["a"] + 0.1 * terms["b"], terms

    check_loss(terms, batch, model)
