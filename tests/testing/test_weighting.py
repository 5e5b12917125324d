"""Every built-in weighting passes; one bad weighting for every fault is told apart."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, get_weighting
from perceptrain.errors import ConformanceError
from perceptrain.testing import check_weighting
from perceptrain.weightings import Weighting

OPTIONS: dict[str, dict[str, Any]] = {
    "fixed": {"weights": {"inside": 2.0}},
    "grad_weighted": {"fixed": "inside", "every": 1},
    "grad_norm_balance": {"every": 2},
    "gradnorm": {},
    "ntk": {"every": 1},
    "relobralo": {"look_back": 0.5, "alpha": 0.6},
    "softadapt": {"normalized": True},
    "dwa": {"window": 2},
    "uncertainty": {"terms": ["inside", "edge"]},
    "random": {},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_built_in_ones_pass(name: str) -> None:
    weighting = get_weighting(name, **OPTIONS[name])
    before, state = copy.deepcopy(weighting.state_dict()), torch.get_rng_state()
    check_weighting(weighting)
    torch.testing.assert_close(dict(weighting.state_dict()), dict(before), rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)


def test_on_a_loss_of_ones_own() -> None:
    def loss_fn(batch: Any, model: nn.Module) -> Any:
        terms = {"fit": (model(batch) - 1).square().mean(), "size": model(batch).abs().mean()}
        return terms["fit"] + terms["size"], terms

    check_weighting(get_weighting("gradnorm"), loss_fn, torch.rand(5, 2), FFNN([2, 4, 1]))


class Good(Weighting):
    def update(self, terms: Any, grads: Any) -> dict[str, Tensor]:
        return self.replace((*terms,), 1 / (1 + grads().norms()))


class NoEvery(nn.Module):
    def update(self, terms: Any, grads: Any) -> Any:
        return {}


class NoModule:
    every = 1

    def update(self, terms: Any, grads: Any) -> Any:
        return {}


class Infinite(Weighting):
    def update(self, terms: Any, grads: Any) -> Any:
        return {name: 1 / torch.zeros(()) for name in terms}


class Vector(Weighting):
    def update(self, terms: Any, grads: Any) -> Any:
        return {name: torch.ones(2) for name in terms}


class Unknown(Weighting):
    def update(self, terms: Any, grads: Any) -> Any:
        return {"nowhere": torch.ones(())}


class Forgets(Weighting):
    """Counts in a plain attribute, which no checkpoint holds."""

    count = 0

    def update(self, terms: Any, grads: Any) -> Any:
        self.count += 1
        return self.replace((*terms,), torch.full((len(terms),), float(self.count)))


class Draws(Weighting):
    """Draws from a generator that no seed reaches."""

    generator = torch.Generator().manual_seed(0)

    def __deepcopy__(self, memo: Any) -> Any:
        return Draws()

    def update(self, terms: Any, grads: Any) -> Any:
        return self.replace((*terms,), torch.rand(len(terms), generator=self.generator))


class Vanishes(nn.Module):
    every = 1

    def update(self, terms: Any, grads: Any) -> Any:
        return {name: 1 / term for name, term in terms.items()}


class Touches(Weighting):
    """Looks at gradients by a backward pass of its own."""

    def update(self, terms: Any, grads: Any) -> Any:
        for parameter in grads().parameters:
            parameter.grad = torch.ones_like(parameter)
        return {}


class Raises(Weighting):
    def update(self, terms: Any, grads: Any) -> Any:
        raise RuntimeError("no weights today")


BAD: list[tuple[Any, str]] = [
    (NoEvery(), r"its attribute every is None; a whole number of 1 or more was expected"),
    (NoModule(), r"it is NoModule; a torch.nn.Module was expected"),
    (nn.Linear(1, 1), r"it has no method update\(terms, grads\)"),
    (Infinite(), r"returns finite weights: the weight of 'inside' is inf after 1 steps"),
    (Vector(), r"Vector.update returned a tensor of shape \(2,\) .* as the weight of 'inside'"),
    (
        Unknown(),
        r"Unknown.update returned a weight for 'nowhere'; expected a weight for each term of",
    ),
    (Forgets(), r"saves its state in state_dict: restored from its state_dict it continues with"),
    (
        Draws(),
        r"returns the same weights twice: it returns different weights for the same random seed",
    ),
    (Vanishes(), r"survives a term that becomes 0: the weight of 'start' is inf when a term is 0"),
    (Touches(), r"changes only its weights.*\.grad of the parameter '\S+' changed"),
    (Raises(), r"it raised RuntimeError: no weights today"),
]


@pytest.mark.parametrize(("weighting", "message"), BAD, ids=lambda value: type(value).__name__)
def test_each_fault_is_told(weighting: Any, message: str) -> None:
    with pytest.raises(ConformanceError, match=message):
        check_weighting(weighting)


def test_one_of_ones_own_passes() -> None:
    check_weighting(Good(every=3))
