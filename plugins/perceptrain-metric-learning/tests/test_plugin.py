"""The plugin as a whole."""

from __future__ import annotations

import subprocess
import sys

import perceptrain_metric_learning
from perceptrain.testing import check_plugin


def test_the_plugin_keeps_the_contract() -> None:
    check_plugin("perceptrain-metric-learning")


def test_every_public_name_is_there() -> None:
    for name in perceptrain_metric_learning.__all__:
        assert getattr(perceptrain_metric_learning, name).__name__ == name
        assert name in dir(perceptrain_metric_learning)


def test_it_is_light() -> None:
    script = (
        "import perceptrain_metric_learning, sys; "
        "assert not {'torch', 'pytorch_metric_learning'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
