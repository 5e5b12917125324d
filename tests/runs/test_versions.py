"""Errors of a run that say what has changed since its training; see also tests/cli."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perceptrain_core.errors import ConfigError
from perceptrain_core.runs.build import build_loss
from perceptrain_core.runs.tables import RunFile
from perceptrain_core.runs.versions import changed_versions
from perceptrain_core.version import __version__

HERE = "perceptrain-core"
TABLES: dict[str, Any] = {"model": {"name": "ffnn"}, "data": {"name": "no:where"}}


def run_file(loss: dict[str, Any], provenance: dict[str, Any]) -> RunFile:
    return RunFile.model_validate({**TABLES, "loss": loss, "provenance": provenance})


def test_only_plugins_that_supplied_a_part_are_compared() -> None:
    loss = {"name": "acme/x", "distribution": "acme", "version": "1.0"}
    versions = {HERE: __version__, "acme": "1.0", "torch": "0.1"}
    found = changed_versions({"loss": loss, "versions": versions})
    assert found == "This run was trained with other versions: acme 1.0, now not installed."
    assert changed_versions({"versions": versions}) == ""
    assert changed_versions({}) == changed_versions({"versions": "none", "loss": 3}) == ""


def test_a_name_of_a_plugin_that_is_not_installed(tmp_path: Path) -> None:
    entry = {"name": "acme/net", "distribution": "acme", "version": "1.0"}
    for name in ("net", "acme/net"):
        with pytest.raises(ConfigError) as caught:
            build_loss(run_file({"name": name}, {"loss": entry}), tmp_path / "run.toml")
        assert str(caught.value).endswith(
            f"[loss]: {name!r} came from acme 1.0, which is not installed: pip install acme==1.0."
        )
    with pytest.raises(ConfigError, match=r"There is no loss 'other'\."):
        build_loss(run_file({"name": "other"}, {"loss": entry}), tmp_path / "run.toml")


def test_an_option_that_another_version_refuses(tmp_path: Path) -> None:
    before = {"versions": {HERE: "0.1.0"}}
    with pytest.raises(ConfigError) as caught:
        build_loss(run_file({"name": "mse", "scael": 1}, before), tmp_path / "run.toml")
    first, second = str(caught.value).splitlines()
    assert "does not accept the option 'scael'" in first
    changed = f"{HERE} 0.1.0, now {__version__}"
    assert second == f"This run was trained with other versions: {changed}."
