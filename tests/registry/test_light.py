"""What listing costs: no torch, little time, whatever is installed."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from perceptrain_core.registry import Registry

from .conftest import losses

LIST_ALL = """
import sys
from perceptrain_core.registry import KINDS, Registry
registry = Registry()
names = [name for kind in KINDS for name in getattr(registry, kind.plural)]
assert "mse" in names and "adam" in names, names
registry.register("loss", "fancy", print)
try:
    registry.losses["no_such_loss"]
except KeyError:
    pass
heavy = {"torch", "numpy", "pydantic", "rich", "email.parser"} & set(sys.modules)
assert not heavy, heavy
"""


def test_listing_all_kinds_imports_nothing_heavy():
    subprocess.run([sys.executable, "-W", "error", "-c", LIST_ALL], check=True)


def test_a_plugin_module_that_imports_spec_imports_no_metadata_reader():
    code = (
        "import sys; from perceptrain_core.registry import Spec, hookimpl, register_loss\n"
        "register_loss('fancy')(print)\n"
        "assert not {'torch', 'importlib_metadata'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def test_distributions_that_are_no_plugins_cost_next_to_nothing(site):
    def listing():
        list(Registry(path=[site.root], environ={}).losses)

    listing()
    empty = min(seconds(listing) for _ in range(3))
    for i in range(300):
        # The metadata would be an error if anyone read it.
        site.distribution(f"other-{i}", entry_points="[console_scripts]\nx = y:z\n", metadata="")
    full = min(seconds(listing) for _ in range(3))
    assert full - empty < 0.25  # 20 ms on a laptop


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_300_plugins_of_10_names_grow_in_proportion(site):
    def install(numbers):
        for i in numbers:
            site.plugin(f"plug{i}", losses("shared", *(f"loss{i}_{j}" for j in range(9))))

    install(range(30))
    site.registry().losses  # noqa: B018 - imports what both measurements share
    few = min(seconds(lambda: list(site.registry().losses)) for _ in range(3))
    install(range(30, 300))
    site.registry().losses  # noqa: B018
    many = min(seconds(lambda: list(site.registry().losses)) for _ in range(3))
    assert many < 30 * few  # ten times as many; a loop in a loop would take a hundred

    names = site.registry().losses
    assert len(names) == 3000 + 16
    assert seconds(lambda: [names[name] for name in names]) < 0.1
