from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from perceptrain_core.checkpoints.file import write_file
from perceptrain_core.checkpoints.folder import (
    BEST,
    checkpoint_path,
    list_checkpoints,
    read_newest,
    rotate,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Checkpoints of the epochs 2, 10 and 999999, the best one, and other files."""
    for epoch in (10, 2, 999_999):
        write_file(checkpoint_path(tmp_path, epoch), {"epoch": epoch})
    write_file(tmp_path / BEST, {"epoch": 5})
    for name in (
        "model.pt",
        "metrics.csv",
        "checkpoint_epoch_x.pt",
        ".checkpoint_epoch_000003.pt.1",
    ):
        (tmp_path / name).write_text("")
    return tmp_path


def names(folder: Path) -> list[str]:
    return [path.name for path in list_checkpoints(folder)]


def test_newest_first_and_the_best_last(folder: Path) -> None:
    numbers = ["999999", "000010", "000002"]
    assert names(folder) == [f"checkpoint_epoch_{n}.pt" for n in numbers] + [BEST]


def test_more_than_six_digits_sort_as_numbers(folder: Path) -> None:
    write_file(checkpoint_path(folder, 1_000_000), {"epoch": 1_000_000})
    assert names(folder)[0] == "checkpoint_epoch_1000000.pt"


@pytest.mark.parametrize(("keep", "left"), [(0, 4), (1, 2), (2, 3), (9, 4)])
def test_rotation_spares_the_newest_and_the_best(folder: Path, keep: int, left: int) -> None:
    others = len(list(folder.iterdir())) - 4
    newest = names(folder)[0]
    rotate(checkpoint_path(folder, 999_999), keep)
    assert len(names(folder)) == left
    assert names(folder)[0] == newest
    assert names(folder)[-1] == BEST
    assert len(list(folder.iterdir())) == left + others


def test_no_checkpoints(tmp_path: Path) -> None:
    assert list_checkpoints(tmp_path) == []
    assert list_checkpoints(tmp_path / "missing") == []
    assert read_newest(tmp_path) is None


def test_newest_is_read(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_newest(folder)
    assert found is not None
    assert found[1]["epoch"] == 999_999


def test_a_best_one_of_a_later_epoch_is_the_newest(folder: Path) -> None:
    checkpoint_path(folder, 999_999).unlink()
    write_file(folder / BEST, {"epoch": 11})
    found = read_newest(folder)
    assert found is not None
    assert found[0].name == BEST
