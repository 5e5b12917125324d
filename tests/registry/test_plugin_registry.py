from __future__ import annotations

import pytest
import torch

from perceptrain_core.errors import AmbiguousNameError, InvalidSpecError
from perceptrain_core.registry import Registry, Spec, hookimpl

from .conftest import HEAD, losses

LOSS = "def {name}(batch, model, *, scale=1.0):\n    return '{name}', scale\n"


@pytest.fixture
def registry(site):
    """Two plugins that share a name, one of which claims a built-in's too."""
    site.module("targets", LOSS.format(name="dice") + "class Focal:\n  def __call__(s, b, m): ...")
    site.plugin("Seg_One", losses("dice", "mse", target="targets:dice"), "1.5")
    site.plugin("seg-two", losses("dice", target="targets:dice"))
    site.plugin("focal", losses("focal", target="targets:Focal"))
    return site.registry()


def test_names_of_all(registry):
    names = list(registry.losses)
    assert names == sorted(names)
    assert {"mse", "seg-one/dice", "seg-two/dice", "seg-one/mse", "focal"} <= set(names)


def test_an_ambiguous_name(registry):
    with pytest.raises(AmbiguousNameError, match="'seg-one/dice' or 'seg-two/dice'"):
        registry.get("loss", "dice")
    assert registry.get("loss", "seg-two/dice", scale=2)(0, 0) == ("dice", 2)


def test_an_installation_never_changes_what_a_name_means(site):
    site.plugin("a", losses("dice"))
    before = site.registry().losses["dice"].qualified_name
    site.plugin("b", losses("mse", "focal"))
    after = site.registry().losses
    assert after["dice"].qualified_name == before
    assert after["mse"].distribution == "perceptrain-core"


def test_a_reference_is_an_entry_too(registry):
    entry = registry.entry("loss", "targets:dice")
    assert entry.provenance() == {"name": "targets:dice", "distribution": None, "version": None}
    assert list(entry.options()) == ["scale"]
    assert registry.get("loss", "targets:dice", scale=2)(0, 0) == ("dice", 2)


def test_the_origin_of_things(registry):
    assert registry.origin(len) is None
    loss = registry.get("loss", "seg-one/dice", scale=2)
    assert registry.origin(loss).provenance() == {
        "name": "seg-one/dice",
        "distribution": "seg-one",
        "version": "1.5",
    }
    assert registry.origin(loss.func) is None  # nobody looked that up
    assert registry.origin(registry.get("loss", "focal")).name == "focal"
    assert registry.origin(object()) is None


def test_the_origin_is_known_after_a_refresh(registry):
    loss = registry.get("loss", "focal")
    registry.refresh()
    assert registry.origin(loss).name == "focal"
    assert registry.losses["focal"] is registry.origin(loss)


def test_asking_for_the_origin_looks_for_nothing(site):
    site.plugin("bomb", "raise SystemExit('imported')")
    registry = site.registry(PERCEPTRAIN_PLUGINS="ghost")
    assert registry.origin(len) is None


def test_refresh_finds_what_was_installed_meanwhile(site):
    registry = site.registry()
    assert "dice" not in registry.losses
    site.plugin("seg", losses("dice"))
    assert "dice" not in registry.losses
    registry.refresh()
    assert "dice" in registry.losses


class Hooks:
    def __init__(self, *names):
        self.names = names

    @hookimpl
    def perceptrain_losses(self):
        return [Spec(name, print) for name in self.names]


def test_an_added_plugin_can_be_replaced_and_survives_a_refresh(registry):
    registry.add_plugin(Hooks("first"), "mine")
    registry.add_plugin(Hooks("second"), "mine")
    registry.refresh()
    assert "mine/second" in registry.losses
    assert "first" not in registry.losses
    assert [p.distribution for p in registry.plugins].count("mine") == 1


@pytest.mark.parametrize("name", ["seg_one", "perceptrain-core", "local"])
def test_an_added_plugin_cannot_take_the_name_of_another(registry, name):
    with pytest.raises(InvalidSpecError, match="belongs to another plugin"):
        registry.add_plugin(Hooks("first"), name)


def test_a_plugin_installed_under_an_added_name_is_an_error(site):
    registry = site.registry()
    registry.add_plugin(Hooks("first"), "mine")
    site.plugin("mine", losses("second"))
    registry.refresh()
    assert [p.status for p in registry.plugins] == ["ok", "failed", "ok"]
    assert "first" in registry.losses


def test_registering(registry):
    def fancy(batch, model):
        """Fancy loss.

        More.
        """

    entry = registry.register("loss", "fancy", fancy)
    assert registry.losses["fancy"] is registry.losses["local/fancy"] is entry
    assert entry.summary == "Fancy loss."
    assert entry.provenance() == {"name": "local/fancy", "distribution": "local", "version": None}
    assert registry.get("loss", "fancy") is fancy
    assert registry.origin(fancy) is entry


def test_registering_again_replaces(registry):
    registry.register("loss", "fancy", print)
    registry.register("loss", "fancy", max)
    assert registry.losses["fancy"].load() is max
    assert list(registry.losses).count("fancy") == 1


def test_registering_survives_a_refresh(registry):
    registry.register("model", "net", dict)
    registry.refresh()
    assert registry.get("model", "net", a=1) == {"a": 1}


def test_registering_the_name_of_a_plugin_makes_it_ambiguous(registry):
    registry.register("loss", "focal", print)
    with pytest.raises(AmbiguousNameError, match="'focal/focal' or 'local/focal'"):
        registry.losses["focal"]


def test_registering_the_name_of_a_built_in(registry):
    with pytest.raises(InvalidSpecError, match="The loss 'mse' is a built-in and keeps its name"):
        registry.register("loss", "mse", print)
    registry.register("model", "mse", print)  # of another kind, which has no such name


def test_registering_looks_for_nothing(site):
    site.plugin("bomb", "raise KeyboardInterrupt")
    site.registry().register("loss", "fancy", print)


def test_none_is_mse(site, monkeypatch):
    registry = site.registry()
    entry = registry.losses["mse"]
    monkeypatch.setattr(entry, "_loaded", (print,))
    assert registry.get("loss", None) is print


def test_kinds_do_not_mix(site):
    models = "@hookimpl\ndef perceptrain_models():\n    return [Spec('unet', 'm:f')]\n"
    site.plugin("both", losses("unet") + models)
    registry = site.registry()
    assert registry.losses["unet"].kind == "loss"
    assert registry.models["unet"].kind == "model"
    assert "unet" not in registry.weightings


def test_registries_are_independent(site):
    one, two = site.registry(), Registry(path=[], environ={})
    one.register("loss", "fancy", print)
    assert "fancy" not in two.losses


def test_each_maker_is_known_for_what_it_made(site):
    """A plugin's name for something of torch is the plugin's, and nobody else's."""
    offered = "[Spec('quick', 'torch.optim:Adam', 'Adam.'), Spec('made', 'maker:make', 'One.')]"
    site.module("maker", "import torch\ndef make(params): return torch.optim.SGD(params, lr=1)\n")
    site.plugin("fast", f"{HEAD}@hookimpl\ndef perceptrain_optimizers():\n    return {offered}\n")
    registry, parameters = site.registry(), [torch.nn.Parameter(torch.ones(1))]
    for name in ("quick", "made"):
        made = registry.get("optimizer", name, parameters)
        assert registry.origin(made).qualified_name == f"fast/{name}"
    assert registry.origin(torch.optim.Adam(parameters)) is None
