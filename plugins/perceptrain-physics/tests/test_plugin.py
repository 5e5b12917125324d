"""The plugin as a whole."""

from __future__ import annotations

import subprocess
import sys

import perceptrain_physics
from perceptrain.testing import check_plugin


def test_the_plugin_keeps_the_contract() -> None:
    check_plugin("perceptrain-physics")


def test_every_public_name_is_there() -> None:
    for name in perceptrain_physics.__all__:
        assert getattr(perceptrain_physics, name).__name__ == name
        assert name in dir(perceptrain_physics)


def test_it_is_light_and_imports_the_face_only() -> None:
    script = "import perceptrain_physics, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
