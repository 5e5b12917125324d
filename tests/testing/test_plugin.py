from __future__ import annotations

import pytest
import torch

from perceptrain.errors import ConformanceError, PerceptrainError, UnknownNameError
from perceptrain.testing import check_plugin, run_checks


def offer(kind: str, *specs: str) -> str:
    return f"@hookimpl\ndef perceptrain_{kind}():\n    return [{', '.join(specs)}]\n"


LOSSES = """
import torch
from torch import nn

def plain(batch, model): ...
def with_options(batch, model, scale=1.0, *, needed): ...
def only_criterion(outputs): ...
def three(batch, model, extra, /): ...

class Loss:
    def __init__(self, scale=1.0): ...
    def __call__(self, batch, model): ...

class Loud(Loss): ...

class Module(nn.Module):
    def __init__(self, *, classes): ...
    def forward(self, batch, model): ...

class NoCall:
    pass

class WrongForward(nn.Module):
    def forward(self, x): ...

class WrongCall:
    def __call__(self, batch): ...

made = Loss()
module = WrongForward()
text = "text"
def hidden(first, /, second): ...
class Optimizer:
    def __init__(self, params, lr=0.1): ...
def nothing(): ...
"""


def loss(name: str, target: str | None = None) -> str:
    return f"Spec({name!r}, 'acme_losses:{target or name}', 'A loss.')"


def faults(distribution: str) -> dict[str, tuple[str, ...]]:
    return {check.name: check.faults for check in run_checks(distribution) if not check.passed}


def test_the_built_ins_keep_the_contract():
    check_plugin("perceptrain-core")


def test_every_good_shape_passes(site):
    site.module("acme_losses", LOSSES)
    names = ("plain", "with_options", "made")
    classes = {"loss": "Loss", "loud": "Loud", "module": "Module"}
    site.plugin(
        "acme-kit",
        offer("losses", *map(loss, names), *(loss(n, t) for n, t in classes.items()))
        + offer("optimizers", loss("optimizer", "Optimizer"))
        + offer("models", loss("thing", "nothing")),
    )
    check_plugin("Acme_Kit")
    checks = run_checks("acme-kit")
    assert len(checks) == 6
    assert checks[0].detail.endswith("made, loss, loud, module, thing, optimizer")
    assert all(check.passed and check.detail for check in checks)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("only_criterion", "has the signature (outputs), which cannot be called as (batch, model,"),
        ("three", "has the signature (batch, model, extra, /), which cannot be called"),
        ("NoCall", "makes objects that cannot be called: write __call__(self, batch, model)"),
        ("WrongForward", "has the signature (self, x), which cannot be called as (self, batch,"),
        ("WrongCall", "has the signature (self, batch), which cannot be called"),
        ("module", "has the signature (x), which cannot be called as (batch, model"),
        ("text", "is str: a class or a function was expected"),
    ],
)
def test_a_target_that_cannot_be_called(site, target, reason):
    site.module("acme_losses", LOSSES)
    site.plugin("acme", offer("losses", loss("bad", target), loss("good", "plain")))
    found = faults("acme")
    assert list(found) == ["has targets that can be called"]
    (fault,) = found["has targets that can be called"]
    assert "loss 'bad'" in fault
    assert reason in fault


@pytest.mark.parametrize(("kind", "target"), [("models", "hidden"), ("optimizers", "nothing")])
def test_targets_of_other_kinds(site, kind, target):
    site.module("acme_losses", LOSSES)
    site.plugin("acme", offer(kind, loss("bad", target)))
    assert list(faults("acme")) == ["has targets that can be called"]


def test_every_fault_is_listed_at_once(site):
    specs = ("Spec('mse', 'acme_losses:plain', 'Mean.')", "Spec('long', 'math:sin', 'x' * 101)")
    site.module("acme_losses", LOSSES)
    site.plugin("acme", "import numpy\n" + offer("losses", *specs, "Spec('gone', 'no_such:loss')"))
    with pytest.raises(ConformanceError) as caught:
        check_plugin("acme")
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value, PerceptrainError)
    title, *lines = str(caught.value).splitlines()
    assert title == "The plugin 'acme' does not keep the contract."
    starts = [
        "- imports lightly: it imports numpy (",
        "- has names of its own: the name of the loss 'mse' is also in the built-ins, which keep "
        "it: it is available only as 'acme/mse'",
        "- has a summary for each name: the loss 'long' has a summary of 101 characters: write one",
        "- has a summary for each name: the loss 'gone' has no summary: write one line of at most",
        "- has targets that can be imported: The loss 'gone' of acme 1.0 cannot be loaded: ",
        "- has targets that can be called: The loss 'long' has the signature (x, /), which cannot",
    ]
    assert len(lines) == len(starts)
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(start)


@pytest.mark.slow
def test_torch_is_heavy_even_when_only_a_hook_imports_it(site):
    site.module("acme_losses", LOSSES)
    site.plugin(
        "acme",
        "print('noise')\n@hookimpl\ndef perceptrain_losses():\n    import torch\n"
        f"    return [{loss('plain')}]\n",
    )
    fault, printed = faults("acme")["imports lightly"]
    assert "torch" in fault
    assert printed == "it prints 'noise' when it is loaded"
    assert "name targets as 'package.module:attribute'" in fault


def test_a_plugin_that_ends_the_process(site):
    site.module("acme_losses", "")
    site.plugin("acme", "import os, sys\nif 'torch' not in sys.modules: os._exit(3)\n")
    (fault,) = faults("acme")["imports lightly"]
    assert fault == "a process that loads it ended with: exit code 3"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1 / 0\n", "The plugin acme 1.0 failed: ZeroDivisionError"),
        (offer("losses", "Spec('Bad-Name', 'x:y')"), "'Bad-Name' cannot be a name"),
        (offer("lossse", "Spec('a', 'x:y')"), "this hook does not exist. Did you mean"),
        (offer("losses"), "its hooks offer nothing: return a list of Spec"),
    ],
)
def test_a_plugin_that_does_not_load(site, source, reason):
    site.plugin("acme", source)
    (fault,) = faults("acme")["is loaded"]
    assert reason in fault


def test_a_blocked_plugin_is_not_checked_by_accident(site, monkeypatch):
    site.module("acme_losses", LOSSES)
    site.plugin("acme", offer("losses", loss("plain")))
    monkeypatch.setenv("PERCEPTRAIN_PLUGINS", "-acme")
    assert "is blocked" in faults("acme")["is loaded"][0]


def test_an_unknown_plugin():
    with pytest.raises(UnknownNameError, match="Did you mean 'perceptrain-core'"):
        check_plugin("perceptrain-cor")


def test_a_name_that_another_plugin_has_is_told(site):
    site.module("acme_losses", LOSSES)
    site.plugin("one", offer("losses", loss("plain"), loss("made")))
    site.plugin("two", offer("losses", loss("plain")))
    assert faults("two") == {
        "has names of its own": (
            "the name of the loss 'plain' is also in one, so neither keeps it: it is available "
            "only as 'two/plain'; choose another name",
        )
    }


def test_a_crowd_of_modules_is_heavy_whatever_it_is(site):
    package = site.root / "crowd"
    package.mkdir()
    (package / "__init__.py").write_text("".join(f"import crowd.m{i}\n" for i in range(301)))
    for i in range(301):
        (package / f"m{i}.py").write_text("")
    site.module("acme_losses", LOSSES)
    site.plugin("crowded", "import crowd\n" + offer("losses", loss("plain")))
    (fault,) = faults("crowded")["imports lightly"]
    assert fault.startswith("it imports crowd")
    assert "305 modules" in fault


PARTS = """
import torch
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
def loss(batch, model): ...
def swapped(model, batch): ...
async def later(batch, model): ...
class NoCallback:
    def __init__(self): ...
"""


def test_an_export_that_cannot_be_imported(site):
    site.module("acme_losses", LOSSES)
    exports = "__all__ = ['plain', 'gone']\nfrom perceptrain import lazy_exports\n"
    exports += "with lazy_exports(__name__):\n    from acme_losses import plain, gone\n"
    offered = "@hookimpl\ndef perceptrain_losses():\n    return [Spec('plain', plain, 'A loss.')]\n"
    site.plugin("acme", exports + offered)
    (fault,) = faults("acme")["has exports that can be imported"]
    assert fault.startswith("acme.gone cannot be imported: AttributeError: module 'acme_losses'")


def test_targets_that_change_the_process_are_told_and_undone(site):
    site.module("acme_losses", PARTS)
    site.plugin("seeds", offer("losses", loss("loss")))
    (fault,) = faults("seeds")["has targets that can be imported"]
    assert fault == (
        "importing the loss 'loss' changes the default dtype, the random numbers of torch for the "
        "whole process"
    )
    assert torch.get_default_dtype() is torch.float32


def test_what_is_of_another_kind_is_told(site):
    site.module("acme_losses", PARTS.replace("torch.", "# "))
    spec = "Spec('{}', 'acme_losses:{}', 'A part.')".format
    source = offer("losses", spec("swapped", "swapped"), spec("later", "later"))
    source += offer("callbacks", spec("none", "NoCallback"))
    source += offer("datasets", spec("misplaced", "loss"))
    site.plugin("kinds", source)
    assert set(faults("kinds")["has targets that can be called"]) == {
        "the loss 'swapped' takes (model, batch): the batch comes first",
        "the loss 'later' is an async function: write a plain one",
        "the callback 'none' is not a subclass of Callback: derive it from Callback",
        "the dataset 'misplaced' takes a batch and a model, as a loss does: offer it as a loss",
    }


def test_loading_that_prints_or_changes_the_process_is_told(site, monkeypatch):
    monkeypatch.setenv("A_PLUGIN", "0")
    site.module("acme_losses", LOSSES)
    source = "import atexit, logging, os\nprint('hello')\nos.environ['A_PLUGIN'] = '1'\n"
    source += "logging.basicConfig(level=10)\natexit.register(print, 'bye')\n"
    site.plugin("loud", source + offer("losses", loss("plain")))
    assert faults("loud")["imports lightly"] == (
        "loading it changes the environment for the whole process",
        "loading it changes the configuration of logging for the whole process",
        "it prints 'hello' when it is loaded",
    )


ABSTRACT = """
from abc import ABC, abstractmethod
class Base(ABC):
    @abstractmethod
    def __call__(self, batch, model): ...
def any_option(batch, model, **options): ...
def plain(batch, model): ...
"""


def test_an_abstract_class_is_reported(site):
    site.module("acme_losses", ABSTRACT)
    site.plugin("acme", offer("losses", loss("base", "Base"), loss("plain")))
    (fault,) = faults("acme")["has targets that can be called"]
    assert fault.startswith("The loss 'base' is the abstract class Base, without __call__(): ")


def test_a_summary_of_two_lines_is_reported(site):
    site.module("acme_losses", ABSTRACT)
    site.plugin("acme", offer("losses", "Spec('plain', 'acme_losses:plain', 'Two\\nlines.')"))
    (fault,) = faults("acme")["has a summary for each name"]
    assert fault == (
        "the loss 'plain' has a summary of 2 lines: write one line of at most 100 characters"
    )


def test_names_that_accept_any_option_are_reported(site):
    site.module("acme_losses", ABSTRACT)
    several = (loss(f"any{i}", "any_option") for i in range(4))
    site.plugin("acme", offer("losses", *several, loss("plain")))
    (check,) = (c for c in run_checks("acme") if c.name == "has targets that can be called")
    assert check.passed
    assert check.detail == (
        "5 names; any0, any1, any2 and others accept any option (**): refuse misspelt ones there, "
        "or name the options"
    )


def test_a_required_option_needs_no_value(site):
    site.module("acme_losses", "def needs(batch, model, *, size: float, how: 'Literal[1]'): ...\n")
    site.plugin("acme", offer("losses", loss("needs")))
    check_plugin("acme")


def test_the_exports_of_all_blocks_are_checked(site):
    site.module("acme_losses", ABSTRACT)
    exports = "from perceptrain import lazy_exports\n"
    for name in ("plain", "gone"):
        exports += f"with lazy_exports(__name__):\n    from acme_losses import {name}\n"
    offered = "@hookimpl\ndef perceptrain_losses():\n    return [Spec('plain', plain, 'A loss.')]\n"
    site.plugin("acme", exports + offered)
    (fault,) = faults("acme")["has exports that can be imported"]
    assert fault.startswith("acme.gone cannot be imported")
