"""The plugin as a whole."""

from __future__ import annotations

from perceptrain.testing import check_plugin


def test_the_plugin_keeps_the_contract() -> None:
    check_plugin("perceptrain-optimizers")
