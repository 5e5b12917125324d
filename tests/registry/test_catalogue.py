from __future__ import annotations

import pytest

from perceptrain_core.errors import AmbiguousNameError, UnknownNameError
from perceptrain_core.registry.catalogue import Catalogue
from perceptrain_core.registry.entries import Entry
from perceptrain_core.registry.kinds import kind_of

from .conftest import losses

LOSS = kind_of("loss")


def catalogue(*qualified: str) -> Catalogue:
    pairs = (name.split("/") for name in qualified)
    return Catalogue(LOSS, [Entry(LOSS, n, "m:f", distribution=d) for d, n in pairs], ())


def test_short_names_where_they_are_enough():
    names = catalogue("b/dice", "a/focal", "perceptrain-core/mse")
    assert list(names) == ["dice", "focal", "mse"]
    assert len(names) == 3
    assert names["dice"] is names["b/dice"]
    assert "dice" in names
    assert "b/dice" in names


def test_a_built_in_keeps_its_name():
    names = catalogue("a/mse", "perceptrain-core/mse", "z/mse")
    assert list(names) == ["a/mse", "mse", "z/mse"]
    assert names["mse"].distribution == "perceptrain-core"
    assert names["a/mse"].distribution == "a"


def test_two_plugins_with_one_name():
    names = catalogue("b/dice", "a/dice", "a/focal")
    assert list(names) == ["a/dice", "b/dice", "focal"]
    assert "dice" not in names
    with pytest.raises(AmbiguousNameError, match="a loss 'dice': write 'b/dice' or 'a/dice'"):
        names["dice"]


def test_every_name_shown_is_accepted_and_gives_its_entry():
    names = catalogue("b/dice", "a/dice", "a/mse", "perceptrain-core/mse", "c/focal")
    assert [names[name] for name in names] == list(names.values())
    assert len({entry.qualified_name for entry in names.values()}) == 5


@pytest.mark.parametrize("spelling", ["A_b/dice", "a.b/dice", "a-b/dice"])
def test_the_distribution_may_be_spelt_in_any_way(spelling):
    assert spelling in catalogue("a-b/dice")


@pytest.mark.parametrize("name", [None, 3, ("dice",), "", "nope", "/", "a/", "x/y/z"])
def test_what_is_not_there(name):
    assert name not in catalogue("a/dice")


def test_an_unknown_name_helps():
    with pytest.raises(
        UnknownNameError,
        match=r"^There is no loss 'dise'. Did you mean 'dice'\?\nKnown losses: dice, focal.$",
    ):
        catalogue("a/dice", "a/focal")["dise"]


def test_an_ambiguous_name_is_suggested_too():
    with pytest.raises(UnknownNameError, match="Did you mean 'dice'"):
        catalogue("a/dice", "b/dice")["dise"]


def test_a_qualified_name_is_suggested_qualified():
    with pytest.raises(UnknownNameError, match="Did you mean 'seg/dice'"):
        catalogue("seg/dice")["seg/dise"]


def test_names_of_files_and_modules_are_pointed_to_the_colon():
    with pytest.raises(UnknownNameError, match=r"write './my.py:NAME'"):
        catalogue()["./my.py"]
    with pytest.raises(UnknownNameError, match=r"write 'torch.nn:HuberLoss'"):
        catalogue()["torch.nn.HuberLoss"]


def test_a_long_list_is_cut():
    with pytest.raises(UnknownNameError, match="and 60 more"):
        catalogue(*(f"a/loss{i}" for i in range(100)))["zzz"]


def test_broken_and_blocked_plugins_are_named_one_a_line(site):
    site.plugin("sick", "import no_such_thing", "0.3")
    site.plugin("shut", losses("dice"))
    site.plugin("well", losses("focal"))
    registry = site.registry(PERCEPTRAIN_PLUGINS="-shut")
    with pytest.raises(UnknownNameError) as caught:
        registry.losses["dice"]
    assert str(caught.value).splitlines()[2:] == [
        "The plugin shut 1.0 is blocked: PERCEPTRAIN_PLUGINS='-shut' excludes it",
        "The plugin sick 0.3 failed: ModuleNotFoundError: No module named 'no_such_thing' "
        "(sick.py, line 1): install the package that contains 'no_such_thing'",
    ]
