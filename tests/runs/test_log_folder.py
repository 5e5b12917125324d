"""A run file writes inside the root folder that it names; settings in Python write anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from perceptrain_core.checkpoints.folder import base_folder
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import ConfigError
from perceptrain_core.runs.build import complete_config
from perceptrain_core.runs.read import read_run_file

SMALL = """
model = "ffnn"
data = "wine"
[train]
"""


def settings(text: str, name: str = "small.toml") -> TrainConfig:
    path = Path(name)
    path.write_text(SMALL + text)
    return complete_config(read_run_file(path), path)


@pytest.mark.parametrize("folder", ["../x", "a/../../x", "/tmp/x", "..", "a/.."])
def test_a_folder_outside_the_root_folder(folder: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(f"log_folder = '{folder}'")
    message = str(caught.value)
    assert message.startswith(f"small.toml, [train]: log_folder = {folder!r} is not inside")
    assert "set root_folder to write somewhere else" in message


def test_a_run_file_with_a_name_that_leads_outside() -> None:
    with pytest.raises(ConfigError, match=r"log_folder = '\.\.' is not inside"):
        settings("", name="...toml")


@pytest.mark.parametrize("folder", ["x", "a/b", "./a", "..x", "a..b"])
def test_a_folder_inside(folder: str) -> None:
    config = settings(f"log_folder = '{folder}'\nroot_folder = '/tmp/runs'")
    assert base_folder(config) == Path("/tmp/runs", folder)


def test_settings_in_python_are_free() -> None:
    assert TrainConfig(log_folder=Path("../x")).log_folder == Path("../x")
