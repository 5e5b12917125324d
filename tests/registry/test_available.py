"""Known plugins that are not installed, and the errors that name them."""

from __future__ import annotations

from pathlib import Path

import pytest

from perceptrain_core.errors import UnknownNameError
from perceptrain_core.registry.available import available, how_to_install, where_to_get
from perceptrain_core.registry.catalogue import Catalogue
from perceptrain_core.registry.kinds import kind_of
from perceptrain_core.registry.plugins import Plugin

SEGMENTATION = "perceptrain-segmentation"


def test_those_that_are_installed_are_left_out():
    everything = available(())
    assert SEGMENTATION in [plugin.distribution for plugin in everything]
    assert all(plugin.description and plugin.provides for plugin in everything)
    missing = available({SEGMENTATION})
    assert [p for p in everything if p not in missing] == [
        p for p in everything if p.distribution == SEGMENTATION
    ]


@pytest.mark.parametrize("name", ["dice", f"{SEGMENTATION}/dice"])
def test_the_error_says_which_plugin_has_the_name(name):
    with pytest.raises(UnknownNameError, match=f"There is no loss '{name}'") as raised:
        Catalogue(kind_of("loss"), (), ())[name]
    hint = (
        "'dice' is in perceptrain-segmentation: pip install perceptrain-segmentation, or from a "
        "clone: pip install ./plugins/perceptrain-segmentation."
    )
    assert str(raised.value).splitlines()[0].endswith(hint)


def test_a_plugin_that_did_not_load_is_not_offered_again():
    failed = Plugin(SEGMENTATION, "1.0", "perceptrain_segmentation", "failed", "ImportError")
    with pytest.raises(UnknownNameError) as raised:
        Catalogue(kind_of("loss"), (), [failed])["dice"]
    assert "pip install" not in str(raised.value)
    assert "ImportError" in str(raised.value)


def test_only_names_of_the_kind_count():
    assert where_to_get("models", "dice", ()) == ""
    assert where_to_get("losses", "other-plugin/dice", ()) == ""


def test_only_the_plugins_of_this_project_are_in_a_clone():
    plugins = Path(__file__).parents[2] / "plugins"
    for plugin in available(()):
        command = how_to_install(plugin.distribution, "1.0")
        folder = command.rpartition(" ./plugins/")[2]
        assert (plugins / folder / "pyproject.toml").is_file()
    assert how_to_install("acme-losses", "1.0") == "pip install acme-losses==1.0"
    assert how_to_install("acme-losses") == "pip install acme-losses"
