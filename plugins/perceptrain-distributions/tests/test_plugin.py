"""The plugin as a whole."""

from __future__ import annotations

import subprocess
import sys

import pytest

import perceptrain_distributions
from perceptrain.testing import check_plugin


def test_the_plugin_keeps_the_contract() -> None:
    check_plugin("perceptrain-distributions")


def test_every_public_name_is_there() -> None:
    for name in perceptrain_distributions.__all__:
        assert getattr(perceptrain_distributions, name).__name__ == name
        assert name in dir(perceptrain_distributions)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = perceptrain_distributions.Nothing


def test_it_is_light_and_needs_no_keops() -> None:
    script = (
        "import sys, perceptrain_distributions as p\n"
        "assert not {'torch', 'geomloss'} & set(sys.modules)\n"
        "sys.modules['pykeops'] = None\n"  # as if it were not installed
        "import torch\n"
        "assert p.SinkhornLoss().distance(torch.zeros(2, 1), torch.ones(3, 1)) > 0.4\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)
