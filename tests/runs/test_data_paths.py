"""Options of a data set that are paths."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from perceptrain_core.runs.build import build_run
from perceptrain_core.runs.data_paths import data_with_paths, path_options
from perceptrain_core.runs.read import read_run_file
from perceptrain_core.trained.load_run import load_run

RUN = """
model = {name = "ffnn", hidden = [4]}
[data]
name = "./rows.py:rows"
file_of_rows = "numbers.txt"
other = "numbers.txt"
test_fraction = 0.5
[train]
max_iter = 1
verbose = false
"""
CODE = """
from pathlib import Path
import torch

def rows(file_of_rows: Path, other: str = "", more: Path | None = None):
    assert file_of_rows.is_absolute() and other == "numbers.txt" and more is None
    x = torch.tensor([[float(n)] for n in file_of_rows.read_text().split()])
    return x, x
"""


def function(a: Path, b: Path | None = None, c: str | Path = "", d: str = "", *, e: Path) -> None:
    """Have options of many kinds."""


class Class:
    def __init__(self, folder: Path, size: int = 1) -> None: ...

    def __call__(self, inner: Path) -> None: ...


def unreadable(folder: Missing) -> None:  # noqa: F821
    """Have an annotation that does not exist."""


@pytest.mark.parametrize(
    ("target", "options"),
    [
        (function, {"a", "b", "c", "e"}),
        (Class, {"folder"}),
        (Class(Path()), {"inner"}),
        (unreadable, set()),
        (partial(function, Path()), set()),
        (dict, set()),
    ],
)
def test_annotations_say_which_options_are_paths(target: Any, options: set[str]) -> None:
    assert path_options(target) == options


def test_paths_are_those_of_the_run_file(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "rows.py").write_text(CODE)
    (folder / "numbers.txt").write_text("1 2 3 4")
    (folder / "run.toml").write_text(RUN)
    table = read_run_file(folder / "run.toml").data
    keys = data_with_paths(table)
    assert (keys["file_of_rows"], keys["other"]) == (folder / "numbers.txt", "numbers.txt")
    run = build_run(read_run_file(folder / "run.toml"), folder / "run.toml")
    assert sorted(
        run.splits.train[0].flatten().tolist() + run.splits.test[0].flatten().tolist()
    ) == [1, 2, 3, 4]


def test_a_moved_project_finds_its_files(tmp_path: Path, monkeypatch: Any) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "rows.py").write_text(CODE)
    (folder / "numbers.txt").write_text("1 2 3 4")
    (folder / "run.toml").write_text(RUN)
    monkeypatch.chdir(folder)
    trained = build_run(read_run_file(folder / "run.toml"), folder / "run.toml").train()
    text = (trained / "run.toml").read_text()
    assert 'file_of_rows = "../../numbers.txt"' in text
    assert 'other = "numbers.txt"' in text
    figures = load_run(trained, trust=True).test()
    folder.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    moved = load_run(tmp_path / "moved" / trained.relative_to(folder), trust=True)
    assert moved.test() == figures
