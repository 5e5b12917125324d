from __future__ import annotations

import sys

import pytest

from perceptrain_core.registry import Registry, Spec, hookimpl
from perceptrain_core.registry.loading import load_plugin
from perceptrain_core.registry.plugins import Source

from .conftest import HEAD, losses


def load(site, source):
    site.plugin("sick", source)
    site.plugin("well", losses("well"))
    registry = site.registry()
    plugins = {plugin.distribution: plugin for plugin in registry.plugins}
    # Whatever happens to one plugin, the others and the built-ins work.
    assert plugins["well"].status == plugins["perceptrain-core"].status == "ok"
    assert {"well", "mse"} <= set(registry.losses)
    return plugins["sick"], registry


def test_a_healthy_plugin(site):
    plugin, registry = load(site, losses("dice", "focal"))
    assert (plugin.status, plugin.error, plugin.version) == ("ok", None, "1.0")
    assert plugin.module == "sick"
    assert plugin.import_ms > 0
    assert list(plugin.names()) == [("losses", "dice"), ("losses", "focal")]
    assert plugin.provides["losses"][0] is registry.losses["dice"]


def test_the_target_is_not_imported(site):
    site.module("heavy", "raise RuntimeError('imported')")
    plugin, registry = load(site, losses("dice", target="heavy:dice"))
    assert plugin.status == "ok"
    assert registry.losses["dice"].summary == "The dice loss."


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "\nimport no_such_thing.part",
            "ModuleNotFoundError: No module named 'no_such_thing' (sick.py, line 2): install the "
            "package that contains 'no_such_thing'",
        ),
        ("import sys; sys.exit(3)", "SystemExit: 3 (sick.py, line 1)"),
        ("class Odd(BaseException): ...\nraise Odd('at import')", "Odd: at import"),
        ("\n1/0", "ZeroDivisionError: division by zero (sick.py, line 2)"),
        (
            "import json\n\njson.loads('{')",
            "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 "
            "(char 1) (sick.py, line 3)",
        ),
        ("def broken(:", "SyntaxError:"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("import warnings; warnings.warn('loud')", "UserWarning: loud"),
        ("def __dir__(): raise OSError('hidden')", "OSError: hidden"),
        (
            "x = 1",
            "the entry point 'main = sick' names the module 'sick', which has no hooks: it must "
            "name the module with the hooks, functions decorated with @hookimpl, of these names: "
            "perceptrain_losses, ",
        ),
        (
            f"{HEAD}@hookimpl\ndef perceptrain_loss(): return []",
            "perceptrain_loss: this hook does not exist. Did you mean 'perceptrain_losses'",
        ),
        (
            f"{HEAD}@hookimpl(specname='perceptrain_lossez')\ndef offer(): return []",
            "offer: this hook does not exist. Did you mean 'perceptrain_losses'",
        ),
        (
            f"{HEAD}@hookimpl\ndef perceptrain_losses(registry): return []",
            "perceptrain_losses: its signature (registry) is wrong: the hooks "
            "(perceptrain_losses, perceptrain_models",
        ),
        ("def perceptrain_losses(): return []", "perceptrain_losses: it is not marked as a hook"),
    ],
)
def test_what_is_wrong_with_a_plugin_is_said_in_one_line(site, source, reason):
    plugin, registry = load(site, source)
    assert plugin.status == "failed"
    assert plugin.error.startswith(reason)
    assert "\n" not in plugin.error
    with pytest.raises(KeyError, match=r"The plugin sick 1\.0 failed: "):
        registry.losses["dice"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise RuntimeError('no')", "RuntimeError: no (sick.py, line 7)"),
        ("raise SystemExit(1)", "SystemExit: 1"),
        ("pass", "it returned None, not a list of Spec"),
        ("return 3", "it returned 3, not a list of Spec"),
        ("return 'dice'", "it returned 'dice', not a list of Spec"),
        ("return Spec('dice', 'm:f')", "it returned Spec("),
        ("return ['dice']", "it returned a list with 'dice', which is not a Spec"),
        ("return ('dice',)", "it returned a tuple with 'dice', which is not a Spec"),
        ("return {'dice': 1}", "it returned {'dice': 1}, not a list of Spec"),
        ("return [Spec('Dice', 'm:f')]", "'Dice' cannot be a name"),
        ("return [Spec('dice', 'm.f')]", "'dice': the target 'm.f' is not a reference"),
        ("return [Spec('dice', 'm:f'), Spec('dice', 'm:g')]", "the name 'dice' is offered twice"),
        ("yield Spec('dice', 'm:f'); raise RuntimeError('late')", "RuntimeError: late"),
    ],
)
def test_a_hook_that_fails_leaves_the_other_hooks_of_its_plugin(site, body, reason):
    models = "@hookimpl\ndef perceptrain_models():\n    return [Spec('unet', 'm:f')]\n"
    plugin, registry = load(
        site, f"{HEAD}{models}@hookimpl\ndef perceptrain_losses():\n    {body}\n"
    )
    assert plugin.status == "failed"
    assert plugin.error.startswith(f"perceptrain_losses: {reason}")
    assert "unet" in registry.models
    assert "dice" not in registry.losses


def test_all_that_is_wrong_is_said(site):
    wrong = "@hookimpl\ndef perceptrain_models(): 1/0\n@hookimpl\ndef perceptrain_los(): pass\n"
    plugin, _ = load(site, losses("dice") + wrong)
    assert "; " in plugin.error
    assert "perceptrain_models: ZeroDivisionError" in plugin.error
    assert [name for _, name in plugin.names()] == ["dice"]


def test_generators_and_optional_hooks_are_fine(site):
    optional = "@hookimpl(optionalhook=True)\ndef perceptrain_future(): return 1\n"
    lazy = "@hookimpl\ndef perceptrain_losses():\n    yield Spec('dice', 'm:f')\n"
    plugin, _ = load(site, HEAD + optional + lazy)
    assert plugin.status == "ok"
    assert [name for _, name in plugin.names()] == ["dice"]


def test_keyboard_interrupt_is_not_swallowed(site):
    site.plugin("sick", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        site.registry().plugins  # noqa: B018


def test_an_entry_point_may_name_an_object(site):
    site.module(
        "hooks",
        f"{HEAD}class Box:\n  class Hooks:\n    @hookimpl\n    def perceptrain_losses(self):\n"
        "      return [Spec('dice', 'm:f')]\n  hooks = Hooks()\n",
    )
    plugin = load_plugin(Source("sick", "1.0", "main", "hooks:Box.hooks"))
    assert (plugin.status, list(plugin.names())) == ("ok", [("losses", "dice")])


def test_two_entry_points_of_one_distribution_cannot_offer_one_name(site):
    for module in ("one", "two"):
        site.module(module, losses("dice", module))
    site.distribution("pair", entry_points="[perceptrain]\na = one\nb = two\n")
    registry = site.registry()
    assert [plugin.status for plugin in registry.plugins] == ["ok", "ok", "failed"]
    assert "the name 'dice' is offered twice" in registry.plugins[2].error
    assert "one" in registry.losses
    assert "two" not in registry.losses


def test_a_plugin_without_installation():
    class Hooks:
        @hookimpl
        def perceptrain_models(self):
            return [Spec("tiny", dict)]

    registry = Registry(path=[], environ={})
    plugin = registry.add_plugin(Hooks())
    assert (plugin.distribution, plugin.status, plugin.version) == ("hooks", "ok", None)
    assert registry.models["tiny"].qualified_name == "hooks/tiny"
    assert plugin in registry.plugins


def test_a_module_that_failed_is_tried_again(site):
    site.plugin("sick", "raise RuntimeError('not yet')")
    registry = site.registry()
    assert registry.plugins[1].status == "failed"
    sys.modules.pop("sick", None)
    site.module("sick", losses("dice") + "# longer than before\n")
    registry.refresh()
    assert registry.plugins[1].status == "ok"


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (
            "hooks:perceptrain_losses",
            "the entry point 'main = hooks:perceptrain_losses' names the function "
            "'hooks:perceptrain_losses', which has no hooks: it must name the module with the hook",
        ),
        ("hooks:NUMBER", "the entry point 'main = hooks:NUMBER' names an object, 'hooks:NUMBER', "),
        (
            "hooks:gone",
            "AttributeError: module 'hooks' has no attribute 'gone': the entry point 'main = "
            "hooks:gone' names it; write 'hooks' alone",
        ),
        (
            "hoks",
            "ModuleNotFoundError: No module named 'hoks': the entry point 'main = hoks' names a "
            "module that does not exist; write the name of the module with the hooks",
        ),
        ("hooks.inner", "ModuleNotFoundError: No module named 'hooks.inner'"),
    ],
)
def test_a_wrong_entry_point_is_named(site, module, reason):
    site.module("hooks", losses("dice") + "NUMBER = 3\n")
    site.distribution("sick", entry_points=f"[perceptrain]\nmain = {module}\n")
    plugin = site.registry().plugins[1]
    assert plugin.status == "failed"
    assert plugin.error.startswith(reason)
    assert f"the entry point 'main = {module}'" in plugin.error


def test_a_target_that_is_called_in_a_hook(site):
    lazy = "from perceptrain import lazy_exports\nwith lazy_exports(__name__):\n"
    lazy += "    from parts import good\n"
    hook = "@hookimpl\ndef perceptrain_losses():\n    return [Spec('x', good(scale=2))]\n"
    plugin, _ = load(site, HEAD + lazy + hook)
    assert plugin.error.startswith(
        "perceptrain_losses: good() cannot be called here: 'good' is imported when it is first use"
    )
