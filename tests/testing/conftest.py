"""Plugins that are installed for one test."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from ..shared import install_plugin
from .losses import ROWS

HEAD = "from perceptrain import Spec, hookimpl\n"


class Site:
    """A folder on ``sys.path`` into which a test installs what it needs."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def module(self, name: str, source: str) -> None:
        (self.root / f"{name}.py").write_text(source)
        importlib.invalidate_caches()

    def plugin(self, name: str, source: str, version: str = "1.0") -> None:
        install_plugin(self.root, name, HEAD + source, version)
        importlib.invalidate_caches()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.delenv("PERCEPTRAIN_PLUGINS", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield Site(tmp_path)
    for name in set(sys.modules) - before:
        if str(tmp_path) in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]


@pytest.fixture
def model():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 1))


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(ROWS, 2, generator=generator), torch.randn(ROWS, 1, generator=generator)
