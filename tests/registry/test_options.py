from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceptrain_core.errors import OptionError, TargetError
from perceptrain_core.registry import get_loss
from perceptrain_core.registry.kinds import kind_of
from perceptrain_core.registry.options import build

LOSS, MODEL, OPTIMIZER = map(kind_of, ("loss", "model", "optimizer"))
LABEL = "The loss 'x'"


def keyword_only(batch, model, *, scale=1.0):
    return batch, model, scale


def make(target, **options):
    return build(LOSS, LABEL, target, (), options)


def test_a_function_without_options_is_itself():
    assert make(keyword_only) is keyword_only


def test_options_bind_to_the_arguments_after_batch_and_model():
    def mixed(batch, model, a=1, *, b=2):
        return a, b

    bound = make(mixed, a=3, b=4)
    assert isinstance(bound, functools.partial)
    assert bound.func is mixed
    assert bound("batch", "model") == (3, 4)


@pytest.mark.parametrize(
    "loss",
    [
        lambda batch, model: None,
        lambda x, y: None,
        lambda *args: None,
        lambda batch, *rest, **options: None,
        lambda batch, model, /: None,
        functools.partial(keyword_only, scale=2),
        max,  # written in C, without a signature
    ],
)
def test_functions_that_take_batch_and_model(loss):
    assert make(loss) is loss


@pytest.mark.parametrize(
    "loss",
    [lambda: None, lambda batch: None, lambda batch, *, model: None, lambda a, b, c, /: None],
)
def test_functions_that_do_not(loss):
    with pytest.raises(TargetError) as caught:
        make(loss)
    assert str(caught.value) == (
        f"The loss 'x' has the signature {inspect.signature(loss)}, "
        "which cannot be called as (batch, model, **options)."
    )


def test_an_unknown_option_lists_the_known_ones():
    with pytest.raises(OptionError) as caught:
        make(keyword_only, scael=2)
    assert str(caught.value) == (
        "The loss 'x' does not accept the option 'scael'. Did you mean 'scale'? It accepts: scale."
    )


def test_a_target_without_options_says_so():
    with pytest.raises(OptionError, match=r"the options 'a', 'b'. It accepts none\."):
        make(lambda batch, model: None, a=1, b=2)


@pytest.mark.parametrize("loss", [keyword_only, lambda batch, model, **options: None])
def test_batch_and_model_are_no_options(loss):
    with pytest.raises(OptionError, match="does not accept the option 'model'"):
        make(loss, model=1)


def test_required_options():
    def needs(batch, model, *, delta, gamma): ...

    with pytest.raises(OptionError, match=r"requires the options 'delta', 'gamma'\."):
        make(needs)
    with pytest.raises(OptionError, match=r"requires the option 'gamma'\."):
        make(needs, delta=1)
    assert make(needs, delta=1, gamma=2).keywords == {"delta": 1, "gamma": 2}


def test_free_options_are_all_taken():
    assert make(lambda batch, model, **rest: rest, kind=1, name=2)(0, 0) == {"kind": 1, "name": 2}


class Loss:
    def __init__(self, *, scale=1.0):
        self.scale = scale

    def __call__(self, batch, model): ...


def test_a_class_is_instantiated():
    assert make(Loss, scale=3).scale == 3
    with pytest.raises(OptionError, match="It accepts: scale"):
        make(Loss, scael=3)


def test_a_class_whose_instances_are_no_losses():
    with pytest.raises(TargetError, match="makes a Silent, which is not callable"):
        make(type("Silent", (), {}))
    with pytest.raises(TargetError, match=r"has the signature \(batch\)"):
        make(type("Half", (), {"__call__": lambda self, batch: None}))


def test_a_callable_object_is_used_like_a_function():
    class Power:
        def __call__(self, batch, model, *, power=2):
            return power

    loss = Power()
    assert make(loss) is loss
    assert make(loss, power=3)(0, 0) == 3


def test_an_object_with_state_is_not_wrapped():
    class Stateful(Loss):
        def state_dict(self): ...
        def __call__(self, batch, model, *, scale=1): ...

    with pytest.raises(OptionError, match=r"object with state .* \(scale\)"):
        make(Stateful(), scale=3)


def test_a_torch_criterion_passes():
    from torch import nn

    assert isinstance(make(nn.HuberLoss, delta=2.0), nn.HuberLoss)
    # Three arguments are too many for a loss here, but whoever wraps it must say so.
    assert isinstance(make(nn.TripletMarginLoss), nn.TripletMarginLoss)
    with pytest.raises(OptionError, match=r"Did you mean 'delta'\? It accepts: reduction, delta"):
        make(nn.HuberLoss, detla=2.0)


def test_other_kinds_are_called():
    assert build(MODEL, "The model 'x'", dict, (), {"a": 1}) == {"a": 1}
    optimizer = build(OPTIMIZER, "The optimizer 'x'", lambda p, *, lr: (p, lr), ("p",), {"lr": 1})
    assert optimizer == ("p", 1)
    with pytest.raises(OptionError, match="requires the option 'lr'"):
        build(OPTIMIZER, "The optimizer 'x'", lambda p, *, lr: None, ("p",), {})
    with pytest.raises(TargetError, match=r"\(\), which cannot be called as \(params, "):
        build(OPTIMIZER, "The optimizer 'x'", lambda: None, ("p",), {})


def test_a_target_must_be_callable():
    with pytest.raises(TargetError, match=r"The loss 'x' is float 3\.5: a class or a function"):
        make(3.5)


NAMES = st.lists(st.sampled_from("abcdef"), unique=True)


@given(by_position=NAMES, by_name=NAMES, given_names=NAMES)
def test_binding_agrees_with_the_call(by_position, by_name, given_names):
    """Options are accepted exactly when Python would accept them in the call."""
    by_name = [name for name in by_name if name not in by_position]
    source = ", ".join(["batch", "model", *by_position, *(["*"] if by_name else []), *by_name])
    namespace: dict = {}
    result = ", ".join(f"{name!r}: {name}" for name in (*by_position, *by_name))
    exec(f"def loss({source}): return {{{result}}}", namespace)
    loss = namespace["loss"]
    options = {name: object() for name in given_names}
    try:
        expected = loss("batch", "model", **options)
    except TypeError:
        with pytest.raises(OptionError):
            make(loss, **options)
    else:
        assert make(loss, **options)("batch", "model") == expected


class Unfinished(ABC):
    """A class whose subclasses define two methods."""

    def __init__(self, scale=1.0):
        self.scale = scale

    @abstractmethod
    def term(self): ...

    @abstractmethod
    def __call__(self, batch, model): ...


class Finished(Unfinished):
    def term(self): ...
    def __call__(self, batch, model): ...


@pytest.mark.parametrize("kind", [LOSS, MODEL])
def test_an_abstract_class_names_what_is_missing(kind):
    missing = r"is the abstract class Unfinished, without __call__\(\), term\(\): define what is"
    with pytest.raises(TargetError, match=f"^{LABEL} {missing}"):
        build(kind, LABEL, Unfinished, (), {"scale": 2.0})
    with pytest.raises(TargetError, match=missing):
        get_loss(Unfinished)
    assert isinstance(build(kind, LABEL, Finished, (), {}), Finished)
