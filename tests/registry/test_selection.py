from __future__ import annotations

import pytest

from perceptrain_core.errors import PluginSelectionError
from perceptrain_core.registry.selection import normalized, read_selection

from .conftest import losses

SET = "PERCEPTRAIN_PLUGINS"


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        (None, {"a-b", "c"}),
        ("", set()),
        ("  ", set()),
        ("c", {"c"}),
        ("A_b, c,", {"a-b", "c"}),
        ("-c", {"a-b"}),
        ("-A.B,-c", set()),
        ("perceptrain-core", set()),
    ],
)
def test_what_a_value_allows(text, allowed):
    selection = read_selection({} if text is None else {SET: text})
    selection.check({"a-b", "c"})
    assert {name for name in ("a-b", "c") if selection.allows(name)} == allowed


def test_names_with_and_without_minus_do_not_mix():
    with pytest.raises(PluginSelectionError, match=r"'a,-b' mixes names .* or '-a,-b'"):
        read_selection({SET: "a,-b"})


def test_the_built_ins_cannot_be_blocked():
    with pytest.raises(PluginSelectionError, match="cannot be blocked"):
        read_selection({SET: "-perceptrain_core"})


@pytest.mark.parametrize("text", ["rbust", "-rbust", "robust,rbust"])
def test_an_entry_that_matches_nothing(text):
    with pytest.raises(
        PluginSelectionError,
        match=r"no plugin 'rbust' is installed. Did you mean 'robust'\? Installed plugins: robust",
    ):
        read_selection({SET: text}).check({"robust"})


@pytest.mark.parametrize("name", ["A_b", "a.b", "a--b", "A-B", "a_-.b"])
def test_names_are_normalized(name):
    assert normalized(name) == "a-b"


def test_a_blocked_plugin_is_never_imported(site):
    site.plugin("bomb", "raise SystemExit('imported')")
    site.plugin("calm", losses("calm"))
    registry = site.registry(PERCEPTRAIN_PLUGINS="-bomb")
    assert [(p.distribution, p.status) for p in registry.plugins] == [
        ("perceptrain-core", "ok"),
        ("bomb", "blocked"),
        ("calm", "ok"),
    ]
    assert "calm" in registry.losses


def test_empty_gives_the_built_ins_only(site):
    site.plugin("calm", losses("calm"))
    registry = site.registry(PERCEPTRAIN_PLUGINS="")
    assert "mse" in registry.losses
    assert "calm" not in registry.losses
    with pytest.raises(KeyError, match=r"The plugin calm 1\.0 is blocked: PERCEPTRAIN_PLUGINS=''"):
        registry.losses["calm"]


def test_the_registry_refuses_a_selection_of_nothing(site):
    registry = site.registry(PERCEPTRAIN_PLUGINS="ghost")
    for _ in range(2):
        with pytest.raises(PluginSelectionError, match="Installed plugins: none"):
            registry.plugins  # noqa: B018


def test_a_blocked_broken_plugin_is_blocked(site):
    site.distribution("odd", entry_points="[perceptrain]\nno equals sign\n")
    assert site.registry(PERCEPTRAIN_PLUGINS="-odd").plugins[1].status == "blocked"
