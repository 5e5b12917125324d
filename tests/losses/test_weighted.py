"""Properties of weighted losses: on random networks, against gradients computed one by one."""

from __future__ import annotations

import copy
import pickle
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from perceptrain import FFNN, WeightedLoss, get_weighting
from perceptrain.errors import ConfigError
from perceptrain.weightings import TermGradients, Weighting

SCHEMES: dict[str, dict[str, Any]] = {
    "fixed": {"weights": {"values": 3.0, "slopes": 0.25}},
    "grad_weighted": {"fixed_metric": "values", "every": 2},
    "grad_norm_balance": {"every": 2},
    "gradnorm": {"every": 2},
    "relobralo": {"momentum": 0.5, "every": 2},
    "random": {"every": 2},
}
NAMES = ("values", "slopes", "bend", "part")


class Coefficient:
    """A loss of four terms; one has a coefficient that only it knows, one reaches one layer."""

    def __init__(self) -> None:
        self.value = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

    def __call__(self, x: Tensor, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        terms = {name: self.term(name, x, model) for name in NAMES}
        return torch.stack([*terms.values()]).sum(), terms

    def term(self, name: str, x: Tensor, model: nn.Module) -> Tensor:
        if name == "part":
            return next(model.net.parameters()).square().sum()
        x = x.detach().requires_grad_()
        u = model(x)
        if name == "values":
            return (u - x.sum(dim=1, keepdim=True)).square().mean()
        (du,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        if name == "slopes":
            return (du - self.value).square().mean()
        (ddu,) = torch.autograd.grad(du[:, 0].sum(), x, create_graph=True)
        return (ddu[:, 0] + self.value * u[:, 0]).square().mean()


class Net(nn.Module):
    """A network, and a parameter that nothing reaches."""

    def __init__(self, width: int, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.net = FFNN([2, width, width, 1], nn.Tanh()).double()
        self.idle = nn.Parameter(torch.ones(2, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def points(seed: int) -> Tensor:
    return torch.rand(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def one_by_one(loss: Coefficient, x: Tensor, model: Net) -> dict[str, list[Tensor]]:
    """The gradient of each term by itself: of the network, and of the coefficient."""
    parameters = [*model.net.parameters(), loss.value]
    return {
        name: [*torch.autograd.grad(loss.term(name, x, model), parameters, materialize_grads=True)]
        for name in NAMES
    }


def assert_gradients(
    loss: Coefficient, x: Tensor, model: Net, metrics: Any, scale: float = 1
) -> None:
    each = one_by_one(loss, x, model)
    for place, parameter in enumerate([*model.net.parameters(), loss.value]):
        expected = sum(
            metrics.get(f"weight_{name}", torch.ones(())) * each[name][place] for name in NAMES
        )
        torch.testing.assert_close(parameter.grad, scale * expected)
    assert model.idle.grad is None


@pytest.mark.slow
@pytest.mark.parametrize("name", SCHEMES)
@settings(max_examples=8)
@given(st.integers(1, 6), st.integers(0, 999), st.sampled_from([1.0, 2.0**16]))
def test_dot_grad_is_the_weighted_sum_with_and_without_an_update(
    name: str, width: int, seed: int, scale: float
) -> None:
    """With the loss scaled too, as a gradient scaler does."""
    loss, model, x = Coefficient(), Net(width, seed), points(seed)
    loss_fn = WeightedLoss(loss, {"name": name, **SCHEMES[name]})
    for _ in range(3):  # the first and third of these update
        for parameter in [*model.parameters(), loss.value]:
            parameter.grad = None
        value, metrics = loss_fn(x, model)
        (scale * value).backward()
        assert_gradients(loss, x, model, metrics, scale)
        terms = loss(x, model)[1]
        expected = sum(metrics.get(f"weight_{n}", 1) * term for n, term in terms.items())
        torch.testing.assert_close(value, expected)
        with torch.no_grad():
            for parameter in model.net.parameters():
                parameter -= 1e-3 * parameter.grad / scale


def test_gradients_add_to_those_that_are_there() -> None:
    loss, model, x = Coefficient(), Net(3, 0), points(0)
    loss_fn = WeightedLoss(loss, get_weighting("grad_norm_balance", every=1))
    loss_fn(x, model)[0].backward()
    first = [p.grad.clone() for p in model.net.parameters()]
    value, metrics = loss_fn(x, model)
    value.backward()
    each = one_by_one(loss, x, model)
    for place, parameter in enumerate(model.net.parameters()):
        second = sum(metrics[f"weight_{name}"] * each[name][place] for name in NAMES)
        torch.testing.assert_close(parameter.grad, first[place] + second)


def test_second_derivatives_are_those_of_the_weighted_sum() -> None:
    loss, model, x = Coefficient(), Net(3, 0), points(0)
    loss_fn = WeightedLoss(loss, get_weighting("grad_norm_balance", every=1))
    value, metrics = loss_fn(x, model)
    own = [*model.net.parameters()]
    terms = loss(x, model)[1]
    same = sum(metrics[f"weight_{name}"] * term for name, term in terms.items())
    for one, other in zip(*(_second(each, own) for each in (value, same)), strict=True):
        torch.testing.assert_close(one, other)


def _second(value: Any, parameters: list[Tensor]) -> Any:
    gradients = torch.autograd.grad(value, parameters, create_graph=True)
    return torch.autograd.grad(sum(g.square().sum() for g in gradients), parameters)


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("how", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_validation_changes_nothing(name: str, how: Any) -> None:
    loss, model, x = Coefficient(), Net(3, 1), points(1)
    loss_fn = WeightedLoss(loss, {"name": name, **SCHEMES[name]})
    _, metrics = loss_fn(x, model)
    before = copy.deepcopy(loss_fn.state_dict())
    model.eval()
    with how(), torch.random.fork_rng():
        torch.manual_seed(0)
        state = torch.get_rng_state()
        if how is torch.enable_grad:
            value, seen = loss_fn(x, model)
        else:  # the terms need derivatives by the points, as those of a PINN do
            value, seen = WeightedLoss.forward(_without_slopes(loss_fn), x, model)
        assert torch.equal(torch.get_rng_state(), state)
    assert loss_fn.state_dict() == before
    terms = {name: term for name, term in seen.items() if name in NAMES}
    torch.testing.assert_close(
        value, sum(seen.get(f"weight_{name}", 1) * term for name, term in terms.items())
    )
    assert all(seen[k] == v for k, v in metrics.items() if k.startswith("weight_") and k in seen)


def _without_slopes(loss_fn: WeightedLoss) -> WeightedLoss:
    loss = loss_fn.loss_fn

    def some(x: Tensor, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        terms = {name: loss.term(name, x, model) for name in ("values", "part")}
        return torch.stack([*terms.values()]).sum(), terms

    other = copy.copy(loss_fn)
    other.loss_fn = some
    return other


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_one_update_in_a_step_of_lbfgs(search: str | None) -> None:
    """Within a step the loss is one function, and the weights move between steps."""
    loss, model, x = Coefficient(), Net(4, 2), points(2)
    loss_fn = WeightedLoss(loss, get_weighting("gradnorm", lr=0.1))
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=6, line_search_fn=search)
    seen: list[list[float]] = []

    def closure() -> Tensor:
        optimizer.zero_grad()
        value, metrics = loss_fn(x, model)
        value.backward()
        assert_gradients(loss, x, model, metrics)
        loss.value.grad = None
        seen[-1].append(metrics["weight_values"].item())
        return value

    for _ in range(4):
        loss_fn.begin_step()
        seen.append([])
        optimizer.step(closure)
    assert all(len({*step}) == 1 and len(step) > 1 for step in seen)
    assert len({step[0] for step in seen}) == 4


def test_metrics_are_the_terms_and_the_weights() -> None:
    loss, model, x = Coefficient(), Net(3, 0), points(0)
    loss_fn = WeightedLoss(loss, get_weighting("fixed", weights={"values": 3.0, "slopes": 0.25}))
    value, metrics = loss_fn(x, model)
    terms = loss(x, model)[1]
    assert metrics.keys() == {*NAMES, "weight_values", "weight_slopes"}
    assert {name: metrics[name].item() for name in NAMES} == {n: t.item() for n, t in terms.items()}
    assert not any(metric.requires_grad for metric in metrics.values())
    assert value.requires_grad


class Halve(nn.Module):
    """A weighting that is no subclass: each update halves the weight of what it is told."""

    def __init__(self, name: str, every: int = 1) -> None:
        super().__init__()
        self.name = name
        self.every = every
        self.register_buffer("weight", torch.ones((), dtype=torch.float64))

    def update(self, terms: dict[str, Tensor], grads: Any) -> dict[str, Tensor]:
        self.weight = self.weight / 2
        return {self.name: self.weight}


def test_any_module_with_every_and_update() -> None:
    loss, model, x = Coefficient(), Net(3, 0), points(0)
    loss_fn = WeightedLoss(loss, Halve("slopes", every=2))
    for weight in (0.5, 0.5, 0.25, 0.25):
        for parameter in [*model.parameters(), loss.value]:
            parameter.grad = None
        value, metrics = loss_fn(x, model)
        value.backward()
        assert metrics["weight_slopes"] == weight
        assert_gradients(loss, x, model, metrics)
    other = WeightedLoss(loss, Halve("slopes", every=2))
    other.load_state_dict(loss_fn.state_dict())
    assert other(x, model)[1]["weight_slopes"] == 0.125
    for clone in (copy.deepcopy(other), pickle.loads(pickle.dumps(other.weighting))):
        assert (clone.weighting if clone.__class__ is WeightedLoss else clone).weight == 0.125


def test_what_a_weighting_of_ones_own_is_given() -> None:
    """Terms without a graph, and on demand the gradients, the batch and the model."""
    loss, model, x = Coefficient(), Net(3, 0), points(0)
    seen: list[Any] = []

    class Own(Weighting):
        def update(self, terms: Any, grads: Any) -> dict[str, Tensor]:
            assert grads() is grads()
            seen.extend([terms, grads()])
            return {}

    WeightedLoss(loss, Own())(x, model)
    terms, gradients = seen
    assert isinstance(gradients, TermGradients)
    assert not any(term.requires_grad for term in terms.values())
    assert gradients.batch is x
    assert gradients.model is model
    each = one_by_one(loss, x, model)
    part = gradients.of("net.*")
    assert part.matrix.shape == (4, sum(p.numel() for p in model.net.parameters()))
    for name in NAMES:
        flat = torch.cat([g.reshape(-1) for g in each[name]])
        assert not gradients[name][:2].any()  # the parameter that nothing reaches
        torch.testing.assert_close(gradients[name][2:], flat)
        torch.testing.assert_close(part[name], flat[:-1])


def test_terms_that_come_and_go() -> None:
    def loss(batch: str, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        terms = {name: (model.weight * ord(name)).sum() for name in batch}
        return torch.stack([*terms.values()]).sum(), terms

    model = nn.Linear(1, 1)
    loss_fn = WeightedLoss(loss, get_weighting("grad_norm_balance", every=1))
    for batch in ("ab", "a", "bc", "c", "abc"):
        value, metrics = loss_fn(batch, model)
        assert value.isfinite()
        assert metrics.keys() == {*batch, *(f"weight_{name}" for name in batch)}


@pytest.mark.parametrize("weighting", [object(), Halve, 3, None])
def test_what_is_no_weighting(weighting: Any) -> None:
    with pytest.raises(ConfigError, match=r"expected an object with update\(terms, grads\)"):
        WeightedLoss(None, weighting)


@pytest.mark.parametrize("weighting", ["random", {"name": "grad_weighted", "fixed_metric": "a"}])
def test_a_loss_that_is_weighted_already(weighting: Any) -> None:
    annealed = {"name": "grad_weighted", "fixed_metric": "a"}
    message = (
        r"is a GradWeightedLoss, whose terms are weighted by GradWeighted already.*\"mse\" ins"
    )
    with pytest.raises(ConfigError, match=message):
        WeightedLoss(annealed, weighting)
    with pytest.raises(ConfigError, match="is a WeightedLoss, whose terms are weighted by RandomW"):
        WeightedLoss(WeightedLoss("mse", "random"), weighting)


def test_begin_step_and_end_steps_are_forwarded_to_the_wrapped_loss() -> None:
    class Counting:
        told: ClassVar[list[str]] = []

        def begin_step(self) -> None:
            self.told.append("begin")

        def end_steps(self) -> None:
            self.told.append("end")

        def __call__(self, batch: Any, model: nn.Module) -> Any:
            raise AssertionError

    loss_fn = WeightedLoss(Counting(), {"name": "fixed", "weights": {}})
    loss_fn.begin_step()
    loss_fn.end_steps()
    assert Counting.told == ["begin", "end"]


class Gives(nn.Module):
    """A weighting whose update gives what it is told to."""

    every = 1

    def __init__(self, what: Any) -> None:
        super().__init__()
        self.what = what

    def update(self, terms: Any, grads: Any) -> Any:
        return self.what(terms) if callable(self.what) else self.what


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (None, "Gives.update returned None; expected a dict"),
        ({"values": 2.0}, r"returned 2.0 as the weight of 'values'; expected a 0-dim tensor"),
        ({"values": torch.ones(1)}, r"returned a tensor of shape \(1,\).* expected a 0-dim tensor"),
        (
            {"valeus": torch.ones(())},
            "returned a weight for 'valeus'; expected a weight for each term",
        ),
    ],
)
def test_what_a_weighting_must_not_give(what: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WeightedLoss(Coefficient(), Gives(what))(points(0), Net(3, 0))


def test_what_a_weighting_does_to_the_terms_does_not_happen_to_the_loss() -> None:
    def spoil(terms: Any) -> Any:
        return {name: torch.ones_like(term) + 0 * term.mul_(0) for name, term in terms.items()}

    loss, model, x = Coefficient(), Net(3, 0), points(0)
    value, metrics = WeightedLoss(loss, Gives(spoil))(x, model)
    assert value.item() == pytest.approx(loss(x, model)[0].item())
    assert metrics["values"].item() == loss(x, model)[1]["values"].item()
