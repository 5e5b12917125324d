"""The folder of a run as the settings show it."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

from perceptrain import TrainConfig
from perceptrain_core.checkpoints.folder import base_folder
from perceptrain_core.config.run_folder import named_folder, show_run_folder


def test_the_settings_remember_what_the_user_named(tmp_path: Path) -> None:
    config = TrainConfig(root_folder=tmp_path, log_folder="a")
    for name in ("run-2", "run-3"):
        show_run_folder(config, tmp_path / "a" / name)
        assert config.log_folder == tmp_path / "a" / name
        assert base_folder(config) == tmp_path / "a"
    config.max_iter = 5
    for same in (replace(config, val_every=2), copy.deepcopy(config), _pickled(config)):
        assert same.log_folder == tmp_path / "a" / "run-3"
        assert base_folder(same) == tmp_path / "a"
    config.log_folder = "b"
    assert base_folder(config) == tmp_path / "b"


def test_it_is_a_path_like_any_other(tmp_path: Path) -> None:
    config = TrainConfig()
    show_run_folder(config, tmp_path)
    (config.log_folder / "a.txt").write_text("a")
    assert [path.name for path in config.log_folder.glob("*.txt")] == ["a.txt"]
    assert config.log_folder.resolve() == tmp_path.resolve()
    assert hash(config.log_folder) == hash(tmp_path)
    derived = config.log_folder / "below"
    assert named_folder(derived) == tmp_path / "below"
    assert _pickled(derived) == tmp_path / "below"


def _pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))
