from __future__ import annotations

import pytest

from perceptrain_core import registry as names
from perceptrain_core.errors import UnknownNameError
from perceptrain_core.registry import KINDS, Registry, kind_of
from perceptrain_core.registry.catalogue import Catalogue


def test_singular_and_plural_name_the_same_kind():
    for kind in KINDS:
        assert kind_of(kind.singular) is kind_of(kind.plural) is kind


def test_each_kind_is_an_attribute_of_the_registry():
    registry = Registry(path=[], environ={})
    for kind in KINDS:
        assert isinstance(getattr(registry, kind.plural), Catalogue)
        assert Registry.__annotations__[kind.plural] == "Catalogue"  # for mypy and editors


def test_each_kind_has_a_look_up_function_and_a_decorator():
    for kind in KINDS:
        assert callable(getattr(names, f"get_{kind.singular}"))
        assert repr(getattr(names, f"register_{kind.singular}")) == f"register_{kind.singular}"


def test_an_unknown_kind_says_which_there_are():
    with pytest.raises(UnknownNameError, match=r"Did you mean 'loss.*The kinds are: loss, model"):
        kind_of("los")
