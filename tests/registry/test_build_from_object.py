from __future__ import annotations

import functools

import pytest

from perceptrain_core.errors import OptionError
from perceptrain_core.registry import KINDS, Registry

REGISTRY = Registry(path=[], environ={})


class Thing:
    def __init__(self, size=1):
        self.size = size

    def __call__(self, batch, model): ...


def loss(batch, model, *, scale=1): ...


@pytest.mark.parametrize("kind", [kind.singular for kind in KINDS])
def test_a_finished_thing_comes_back_as_it_is(kind):
    thing = Thing()
    assert REGISTRY.get(kind, thing) is thing


@pytest.mark.parametrize("kind", [kind.plural for kind in KINDS])
def test_a_class_is_instantiated(kind):
    assert REGISTRY.get(kind, Thing, size=3).size == 3


def test_a_function_is_a_loss_and_makes_the_others():
    assert REGISTRY.get("loss", loss) is loss
    assert REGISTRY.get("loss", loss, scale=2).keywords == {"scale": 2}
    assert REGISTRY.get("model", lambda width: width, width=3) == 3
    assert REGISTRY.get("optimizer", functools.partial(dict, lr=1), [("a", 2)]) == {"a": 2, "lr": 1}


def test_a_callable_is_not_questioned():
    odd = lambda: None  # noqa: E731
    assert REGISTRY.get("loss", odd) is odd


def test_a_finished_thing_takes_no_options():
    with pytest.raises(OptionError, match=r"The model 'Thing' is already built .* \(size\)"):
        REGISTRY.get("model", Thing(), size=3)


@pytest.mark.parametrize("kind", [kind.singular for kind in KINDS])
@pytest.mark.parametrize("value", [123, 1.5, True, b"mse", ["mse"], {"mse"}])
def test_what_is_nothing_of_the_kind(kind, value):
    with pytest.raises(TypeError, match=f"is not a valid {kind}: pass a name, a reference"):
        REGISTRY.get(kind, value)


@pytest.mark.parametrize("kind", [kind.singular for kind in KINDS if kind.default is None])
def test_none_is_nothing(kind):
    with pytest.raises(OptionError, match=f"None is not a valid {kind}"):
        REGISTRY.get(kind, None)


def test_a_mapping_is_a_name_with_options():
    assert REGISTRY.get("loss", {"name": loss, "scale": 2}).keywords == {"scale": 2}
    assert REGISTRY.get("loss", {"name": loss, "scale": 2}, scale=3).keywords == {"scale": 3}


def test_a_mapping_is_left_as_it_is():
    given = {"name": loss, "scale": 2}
    REGISTRY.get("loss", given, scale=3)
    assert given == {"name": loss, "scale": 2}


@pytest.mark.parametrize(("mapping", "has"), [({"scale": 2}, "scale"), ({}, "nothing")])
def test_a_mapping_without_a_name(mapping, has):
    with pytest.raises(
        OptionError, match=f"needs the key 'name' beside the options; it has: {has}"
    ):
        REGISTRY.get("loss", mapping)


def test_options_may_have_any_name():
    def greedy(batch, model, *, name, kind, value, options):
        return name, kind, value, options

    bound = REGISTRY.get("loss", greedy, name=1, kind=2, value=3, options=4)
    assert bound(0, 0) == (1, 2, 3, 4)
