from __future__ import annotations

import inspect

import pytest

from perceptrain_core.errors import MissingDependencyError, TargetError
from perceptrain_core.registry.entries import Entry
from perceptrain_core.registry.kinds import kind_of

LOSS, MODEL, OPTIMIZER = map(kind_of, ("loss", "model", "optimizer"))


def loss(batch, model, *, scale: float = 1.0): ...


class Loss:
    def __init__(self, scale=1.0): ...
    def __call__(self, batch, model): ...


def test_its_names_and_provenance():
    entry = Entry(LOSS, "dice", loss, "Two\n lines.", distribution="seg", version="1.2")
    assert (entry.kind, entry.name, entry.qualified_name) == ("loss", "dice", "seg/dice")
    assert entry.summary == "Two lines."
    assert entry.provenance() == {"name": "seg/dice", "distribution": "seg", "version": "1.2"}
    assert repr(entry).startswith("Entry(loss 'seg/dice', target=<function loss")


def test_an_object_as_target_is_the_target():
    assert Entry(LOSS, "dice", loss).load() is loss


def test_a_target_is_imported_once(site):
    site.module("counted", "def __getattr__(name):\n    return object()\n")
    entry = Entry(LOSS, "dice", "counted:dice")
    assert entry.load() is entry.load()


def test_the_signature_and_the_options():
    entry = Entry(LOSS, "dice", loss)
    assert entry.signature() == inspect.signature(loss)
    assert list(entry.options()) == ["scale"]
    assert list(Entry(LOSS, "dice", Loss).options()) == ["scale"]
    assert list(Entry(MODEL, "net", lambda layers, bias=True: None).options()) == ["layers", "bias"]
    assert list(Entry(OPTIMIZER, "opt", lambda params, lr=1: None).options()) == ["lr"]


def test_a_target_without_a_signature():
    entry = Entry(MODEL, "odd", "builtins:dict")
    assert entry.signature() is None
    assert entry.options() == {}


def test_a_missing_target_says_whose_it_is():
    entry = Entry(LOSS, "dice", "no_such.thing:dice", distribution="seg", version="1.2")
    with pytest.raises(TargetError) as caught:
        entry.load()
    assert str(caught.value).startswith(
        "The loss 'dice' of seg 1.2 cannot be loaded: 'no_such.thing:dice': "
        "there is no module 'no_such'."
    )
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_our_own_errors_pass_through(site):
    site.module(
        "extra",
        "from perceptrain_core.errors import MissingDependencyError\n"
        "raise MissingDependencyError('pip install perceptrain-core[mlflow]')\n",
    )
    with pytest.raises(MissingDependencyError, match="mlflow"):
        Entry(LOSS, "dice", "extra:dice", distribution="seg").load()
