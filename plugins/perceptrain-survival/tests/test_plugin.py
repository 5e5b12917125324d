"""The plugin as a whole."""

from __future__ import annotations

import sys

import pytest

from perceptrain import get_dataset
from perceptrain.errors import MissingDependencyError
from perceptrain.testing import check_plugin


def test_the_plugin_keeps_the_contract() -> None:
    check_plugin("perceptrain-survival")


def test_real_patients_need_scikit_survival(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sksurv.datasets", None)
    with pytest.raises(MissingDependencyError, match=r"perceptrain-survival\[data\]"):
        get_dataset("gbsg2")
