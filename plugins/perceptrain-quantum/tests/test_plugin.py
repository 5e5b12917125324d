"""The plugin as a whole."""

from __future__ import annotations

import subprocess
import sys

import pytest

from perceptrain.testing import check_plugin


def test_the_plugin_keeps_the_contract() -> None:
    check_plugin("perceptrain-quantum")


@pytest.mark.slow
def test_it_changes_no_default() -> None:
    script = (
        "import perceptrain_quantum as p\n"
        "import torch\n"
        "assert p.FeatureMapQNN(2, 1)(torch.zeros(3, 1)).dtype is torch.float64\n"
        "assert torch.get_default_dtype() is torch.float32\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)
