"""The plugin as a whole."""

from __future__ import annotations

import subprocess
import sys

import pytest

import perceptrain_quantum
from perceptrain.testing import check_plugin


def test_the_plugin_keeps_the_contract() -> None:
    check_plugin("perceptrain-quantum")


def test_every_public_name_is_there() -> None:
    for name in perceptrain_quantum.__all__:
        assert getattr(perceptrain_quantum, name).__name__ == name
        assert name in dir(perceptrain_quantum)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = perceptrain_quantum.Nothing


def test_it_is_light_and_changes_no_default() -> None:
    script = (
        "import sys, perceptrain_quantum as p\n"
        "assert not {'torch', 'pyqtorch', 'numpy'} & set(sys.modules)\n"
        "import torch\n"
        "assert p.FeatureMapQNN(2, 1)(torch.zeros(3, 1)).dtype is torch.float64\n"
        "assert torch.get_default_dtype() is torch.float32\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)
