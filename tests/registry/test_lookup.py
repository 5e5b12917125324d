from __future__ import annotations

import functools

import pytest

from perceptrain_core.errors import InvalidSpecError, OptionError
from perceptrain_core.registry import (
    Registry,
    get_callback,
    get_dataset,
    get_loss,
    get_model,
    get_optimizer,
    get_tracker,
    get_weighting,
    lookup,
    register_callback,
    register_dataset,
    register_loss,
    register_model,
    register_optimizer,
    register_tracker,
    register_weighting,
    registry,
)


@pytest.fixture(autouse=True)
def default(monkeypatch):
    """A default registry of this test's own, without installed plugins."""
    fresh = Registry(path=[], environ={})
    monkeypatch.setattr(lookup, "_default", lambda: fresh)
    return fresh


def test_the_default_is_one_object(default):
    assert registry() is registry() is registry(refresh=True) is default


def test_the_real_default_is_made_once(monkeypatch):
    monkeypatch.undo()
    assert lookup._default() is lookup._default()


def test_register_and_get():
    @register_loss("fancy")
    def anything(batch, model, *, scale=1.0):
        return scale

    assert get_loss("fancy") is anything
    assert get_loss({"name": "fancy", "scale": 2}).keywords == {"scale": 2}
    assert get_loss("local/fancy", scale=3)(0, 0) == 3


@pytest.mark.parametrize(
    ("register", "get"),
    [
        (register_loss, get_loss),
        (register_model, get_model),
        (register_weighting, get_weighting),
        (register_optimizer, lambda name, **options: get_optimizer(name, [], **options)),
        (register_callback, get_callback),
        (register_tracker, get_tracker),
        (register_dataset, get_dataset),
    ],
    ids=["loss", "model", "weighting", "optimizer", "callback", "tracker", "dataset"],
)
def test_there_is_a_decorator_for_each_kind(register, get):
    @register("named", summary="As said.")
    @register()
    @register
    class own:
        """Its docstring."""

        def __init__(self, *params, width=1):
            self.width = width

        def __call__(self, batch, model): ...

    kind = repr(register).removeprefix("register_")
    catalogue = registry().catalogue(kind)
    assert catalogue["named"].summary == "As said."
    assert catalogue["local/own"].summary == "Its docstring."
    for name in ("named", "own", "local/named"):
        assert type(get(name, width=3)) is own
        assert get(name, width=3).width == 3
    with pytest.raises(InvalidSpecError, match="cannot be a name"):
        register("No name")(own)


def test_registering_what_cannot_be():
    with pytest.raises(InvalidSpecError, match="'Fancy' cannot be a name"):
        register_loss("Fancy")(print)
    with pytest.raises(InvalidSpecError, match="'<lambda>' cannot be a name"):
        register_loss(lambda batch, model: None)
    with pytest.raises(InvalidSpecError, match="is a built-in"):
        register_loss("mse")(print)
    with pytest.raises(InvalidSpecError, match="a class or a function, not int"):
        register_loss("fancy")(3)


def test_the_decorator_gives_back_what_it_got_from_objects_too():
    loss = functools.partial(print, end="")
    assert register_loss("quiet")(loss) is loss


def test_optimizers_of_torch():
    import torch

    params = [torch.nn.Parameter(torch.zeros(1))]
    optimizer = get_optimizer("adamw", params, lr=0.5)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert get_optimizer(optimizer, params) is optimizer
    assert isinstance(get_optimizer(torch.optim.SGD, params, lr=1), torch.optim.SGD)
    assert registry().origin(optimizer).qualified_name == "perceptrain-core/adamw"
    with pytest.raises(OptionError, match=r"'adam' does not accept the option 'learn'.*s: lr"):
        get_optimizer("adam", params, learn=1)


def test_options_called_like_arguments():
    @register_loss
    def greedy(batch, model, *, name=0, kind=0, base=0, refresh=0, loss=0):
        return name, kind, base, refresh, loss

    bound = get_loss("greedy", name=1, kind=2, base=3, refresh=4, loss=5)
    assert bound(0, 0) == (1, 2, 3, 4, 5)
