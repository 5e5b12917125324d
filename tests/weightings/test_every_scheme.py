"""What holds for every built-in weighting."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from perceptrain import WeightedLoss, get_weighting, registry
from perceptrain.errors import ConfigError, OptionError
from perceptrain_core.checkpoints.file import read_file, write_file
from perceptrain_core.weightings.base import Gradients, Terms, Weighting

OPTIONS: dict[str, dict[str, Any]] = {
    "fixed": {"weights": {"a": 2.0, "b": 0.5}},
    "grad_weighted": {"fixed_metric": "a"},
    "grad_norm_balance": {"every": 1},
    "gradnorm": {},
    "ntk": {"every": 1},
    "relobralo": {"look_back": 0.5, "momentum": 0.6},
    "softadapt": {"loss_weighted": True, "normalized": True},
    "dwa": {"window": 2},
    "uncertainty": {},
    "random": {},
}
SUM_OF_K = {"gradnorm": 3, "relobralo": 3, "softadapt": 1, "dwa": 3, "random": 1}


class Residuals(nn.Module):
    """Three residuals of two parameters, times factors; one is left out if its factor is None."""

    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor([0.5, -0.3], dtype=torch.float64))
        self.q = nn.Parameter(torch.tensor([[0.8]], dtype=torch.float64))

    def forward(self, factors: dict[str, float | None]) -> dict[str, Tensor]:
        found = {"a": self.p + 1, "b": self.p.sum() * self.q - 2, "c": self.q.reshape(-1)}
        return {
            name: factors[name] * residual
            for name, residual in found.items()
            if factors.get(name) is not None
        }


def squares(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    terms = {name: residual.square().mean() for name, residual in model(batch).items()}
    return torch.stack([*terms.values()]).sum(), terms


def make(name: str) -> WeightedLoss:
    return WeightedLoss(squares, {"name": name, **OPTIONS[name]})


def descend(loss_fn: WeightedLoss, model: Residuals, batches: list[Any]) -> list[dict[str, float]]:
    optimizer = torch.optim.SGD([*model.parameters(), *loss_fn.parameters()], lr=1e-3)
    seen = []
    for batch in batches:
        optimizer.zero_grad()
        loss, metrics = loss_fn(batch, model)
        loss.backward()
        optimizer.step()
        seen.append({name: value.item() for name, value in metrics.items()})
    return seen


BATCHES: list[dict[str, float | None]] = [
    {"a": 1.0, "b": 2.0, "c": 0.5},
    {"a": 0.3, "b": 2.0, "c": 0.5},
    {"a": 1.0, "b": 0.0, "c": 3.0},
    {"a": 1.0, "b": 1.0, "c": None},
    {"a": 2.0, "b": 1.0, "c": 1.5},
]


BAD_OPTIONS: list[tuple[str, dict[str, Any], str]] = [
    (
        "dwa",
        {"window": 0, "temperature": 0},
        "temperature=0: .*; window=0: expected a whole number",
    ),
    (
        *("grad_norm_balance", {"momentum": 2, "eps": -1}),
        "momentum=2: expected a number of at least 0 and of at most 1; eps=-1",
    ),
    (
        *("gradnorm", {"asymmetry": -1, "lr": float("nan")}),
        "asymmetry=-1: expected a number of at least 0; lr=nan",
    ),
    ("ntk", {"max_weight": -1, "chunk": 0}, "chunk=0: expected a whole number .*; max_weight=-1: "),
    (
        *("relobralo", {"momentum": 2, "look_back": -1, "temperature": 0}),
        "look_back=-1: .*; temperature=0: .*; momentum=2: exp",
    ),
    ("softadapt", {"beta": "x"}, "beta='x'"),
]


@pytest.mark.parametrize(("name", "options", "message"), BAD_OPTIONS)
def test_bad_options_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, OptionError), match=message):
        get_weighting(name, **options)


def test_all_are_here() -> None:
    found = {e.name for e in registry().weightings.values() if e.distribution == "perceptrain-core"}
    assert found == OPTIONS.keys()


@pytest.mark.parametrize("name", OPTIONS)
def test_a_state_that_was_read_back_goes_on_bit_for_bit(name: str, tmp_path: Any) -> None:
    torch.manual_seed(0)
    loss_fn, model = make(name), Residuals()
    descend(loss_fn, model, BATCHES)
    path = write_file(tmp_path / "state.pt", {"loss": loss_fn.state_dict()})
    other = make(name)
    other.load_state_dict(read_file(path)["loss"])
    clones = [loss_fn, other, copy.deepcopy(loss_fn), pickle.loads(pickle.dumps(loss_fn))]
    found = []
    for clone in clones:
        torch.manual_seed(7)
        own = copy.deepcopy(model)
        found.append((descend(clone, own, BATCHES[::-1]), own.p.tolist(), clone.metric_weights))
    assert all(each == found[0] for each in found)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_state_that_was_handed_out_does_not_change(name: str) -> None:
    loss_fn, model = make(name), Residuals()
    descend(loss_fn, model, BATCHES[:2])
    state = loss_fn.weighting.get_extra_state()
    kept = copy.deepcopy(state)
    descend(loss_fn, model, BATCHES)
    assert state == kept


FACTORS = st.one_of(
    st.floats(-1e3, 1e3), st.sampled_from([0.0, float("nan"), float("inf"), 1e-200, 1e200, None])
)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.filterwarnings("ignore:The weight of")
@settings(deadline=None, max_examples=25)
@given(st.lists(st.fixed_dictionaries({"a": FACTORS, "b": FACTORS, "c": FACTORS}), max_size=6))
def test_whatever_comes_no_weight_is_bad(name: str, batches: list[Any]) -> None:
    loss_fn, model = make(name), Residuals()
    whole: dict[str, float | None] = {"a": 1.0, "b": 2.0, "c": 0.5}
    for batch in [whole, *batches, whole]:
        if any(factor is not None for factor in batch.values()):
            _, metrics = loss_fn(batch, model)
            weights = {n: v.item() for n, v in metrics.items() if n.startswith("weight_")}
            assert all(0 <= weight <= 1e5 for weight in weights.values()), weights


@pytest.mark.parametrize("name", SUM_OF_K)
def test_the_sum_of_the_weights(name: str) -> None:
    loss_fn, model = make(name), Residuals()
    for number in range(6):
        descend(loss_fn, model, [BATCHES[number % 2]])
        weights = loss_fn.metric_weights
        assert not weights or sum(weights.values()) == pytest.approx(SUM_OF_K[name])
    assert weights


# Not those that treat terms differently on purpose.
@pytest.mark.parametrize("name", sorted(OPTIONS.keys() - {"fixed", "grad_weighted", "random"}))
def test_equal_terms_have_equal_weights(name: str) -> None:
    def alike(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        terms = {term: batch * (model.p**2).sum() for term in ("a", "b")}
        return terms["a"] + terms["b"], terms

    options = {**OPTIONS[name]}
    if name == "ntk":
        options["residuals"] = lambda batch, model: dict.fromkeys(("a", "b"), model.p)
    loss_fn, model = WeightedLoss(alike, {"name": name, **options}), Residuals()
    for number in range(5):
        _, metrics = loss_fn(1.0 / (1 + number), model)
        if "weight_a" in metrics:
            assert metrics["weight_a"].item() == pytest.approx(metrics["weight_b"].item())


@pytest.mark.parametrize("name", OPTIONS)
def test_float32_terms_have_float32_weights(name: str) -> None:
    loss_fn, model = make(name), Residuals().float()
    loss, metrics = loss_fn(BATCHES[0], model)
    loss.backward()
    assert loss.dtype is torch.float32
    assert {value.dtype for value in metrics.values()} == {torch.float32}


class Numbers(Weighting):
    """Return the same weights as numbers or as a tensor."""

    def __init__(self, as_tensor: bool, **options: Any) -> None:
        super().__init__(initial={"a": 2.0}, max_weight=2.5, min_weight=0.5, **options)
        self.as_tensor = as_tensor

    def target(self, terms: Terms, grads: Gradients) -> Tensor | list[float]:
        new = [10.0, 0.01, float("nan"), 1.25]
        return next(iter(terms.values())).new_tensor(new) if self.as_tensor else new


@pytest.mark.filterwarnings("ignore:The weight of a")
@pytest.mark.parametrize("momentum", [0.0, 0.75, 1.0])
def test_numbers_and_tensors_are_smoothed_and_bounded_alike(momentum: float) -> None:
    terms = {name: torch.ones((), dtype=torch.float64) for name in "abcd"}
    pair = [Numbers(as_tensor, momentum=momentum) for as_tensor in (False, True)]
    for _ in range(3):
        first, second = (each.update(terms, lambda: None) for each in pair)  # type: ignore[arg-type, return-value]
        assert {n: float(w) for n, w in first.items()} == pytest.approx(
            {n: float(w) for n, w in second.items()}, rel=1e-12
        )
