from __future__ import annotations

import pytest

from perceptrain_core import builtins
from perceptrain_core.registry import KINDS, Registry

REGISTRY = Registry(path=[], environ={})
ENTRIES = [entry for kind in KINDS for entry in getattr(REGISTRY, kind.plural).values()]


def test_the_plugin_is_well():
    plugin = REGISTRY.plugins[0]
    assert (plugin.distribution, plugin.status, plugin.error) == ("perceptrain-core", "ok", None)
    assert plugin.module == builtins.__name__


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.kind}-{entry.name}")
def test_each_has_a_short_summary(entry):
    assert 10 < len(entry.summary) <= 100
    assert entry.summary.endswith(".")


@pytest.mark.parametrize("entry", REGISTRY.losses.values(), ids=lambda entry: entry.name)
def test_each_loss_says_which_batch_it_wants(entry):
    assert "Batch: " in entry.summary


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.kind}-{entry.name}")
def test_each_target_can_be_imported(entry):
    assert callable(entry.load())
