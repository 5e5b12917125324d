"""Where runs go: no two to one folder, and a resumed one back to its own."""

from __future__ import annotations

import os

import pytest

from perceptrain import TrainConfig
from perceptrain_core.checkpoints.folder import checkpoint_path, newest_run_folder
from perceptrain_core.training.run_folder import new_run_folder, unused


@pytest.fixture
def config(here):
    return TrainConfig(root_folder=here, log_folder="a")


def use(folder, time=None):
    folder.mkdir(parents=True, exist_ok=True)
    path = checkpoint_path(folder, 1)
    path.touch()
    if time is not None:
        os.utime(path, (time, time))
    return folder


def test_the_folder_itself_then_numbered_ones_in_it(config, here):
    assert new_run_folder(config) == here / "a"
    assert not (here / "a").exists()
    use(here / "a")
    assert new_run_folder(config) == here / "a" / "run-2"
    use(here / "a" / "run-2")
    assert new_run_folder(config) == here / "a" / "run-3"


def test_a_folder_with_folders_alone_is_free(config, here):
    (here / "a" / "other").mkdir(parents=True)
    assert new_run_folder(config) == here / "a"


def test_a_folder_named_by_the_time(here):
    config = TrainConfig(root_folder=here, create_subfolder_per_run=True)
    names = [use(new_run_folder(config)).name for _ in range(3)]  # within a second
    assert len(set(names)) == 3
    assert all(name.startswith("20") for name in names)


def test_the_newest_run_has_the_newest_checkpoint(config, here):
    assert newest_run_folder(config) == here / "a"
    first, second = use(here / "a", 100), use(here / "a" / "run-2", 200)
    (here / "a" / "run-3").mkdir()
    assert newest_run_folder(config) == second
    use(first, 300)
    assert newest_run_folder(config) == first


def test_unused(here):
    assert unused(here / "x") == here / "x"
    (here / "x").touch()
    assert unused(here / "x") == here / "x-2"
    (here / "x-2").mkdir()
    assert unused(here / "x") == here / "x-3"
    assert unused(here / "y", numbered=True) == here / "y-2"
