"""The plugin as a whole."""

from __future__ import annotations

import subprocess
import sys

import pytest

from perceptrain.testing import check_plugin


def test_the_plugin_keeps_the_contract() -> None:
    check_plugin("perceptrain-distributions")


@pytest.mark.slow
def test_it_needs_no_keops() -> None:
    script = (
        "import sys, perceptrain_distributions as p\n"
        "sys.modules['pykeops'] = None\n"  # as if it were not installed
        "import torch\n"
        "assert p.SinkhornLoss().distance(torch.zeros(2, 1), torch.ones(3, 1)) > 0.4\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)
