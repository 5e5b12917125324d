from __future__ import annotations

from perceptrain_core import builtins
from perceptrain_core.registry import KINDS, Registry

REGISTRY = Registry(path=[], environ={})
ENTRIES = [entry for kind in KINDS for entry in getattr(REGISTRY, kind.plural).values()]


def test_the_plugin_is_well():
    plugin = REGISTRY.plugins[0]
    assert (plugin.distribution, plugin.status, plugin.error) == ("perceptrain-core", "ok", None)
    assert plugin.module == builtins.__name__


def test_each_has_a_short_summary():
    assert len(ENTRIES) > 50
    summaries = {(entry.kind, entry.name): entry.summary for entry in ENTRIES}
    assert {key: s for key, s in summaries.items() if not 10 < len(s) <= 100 or s[-1] != "."} == {}


def test_each_loss_says_which_batch_it_wants():
    losses = REGISTRY.losses.values()
    assert [entry.name for entry in losses if "Batch: " not in entry.summary] == []


def test_each_target_can_be_imported():
    assert [(entry.kind, entry.name) for entry in ENTRIES if not callable(entry.load())] == []
