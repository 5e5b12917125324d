from __future__ import annotations

from pathlib import Path

import pytest

from perceptrain_core.runs.file_names import RUN_FILE
from perceptrain_core.runs.folder import discarded_if_empty


def fail(base: Path, chosen: Path | None, also: Path | None = None) -> None:
    with pytest.raises(KeyError), discarded_if_empty(base, lambda: chosen):
        if chosen is not None:
            chosen.mkdir(parents=True)
            (chosen / RUN_FILE).touch()
        if also is not None:
            also.touch()
        raise KeyError


def test_a_folder_with_nothing_but_the_run_file_is_removed(tmp_path: Path) -> None:
    fail(tmp_path / "a" / "logs", tmp_path / "a" / "logs" / "run")
    assert [*tmp_path.iterdir()] == []


def test_a_folder_with_something_else_is_kept(tmp_path: Path) -> None:
    run = tmp_path / "logs" / "run"
    fail(tmp_path / "logs", run, run / "metrics.csv")
    assert {path.name for path in run.iterdir()} == {RUN_FILE, "metrics.csv"}


def test_files_of_others_are_kept_while_no_folder_is_chosen(tmp_path: Path) -> None:
    (tmp_path / RUN_FILE).touch()
    fail(tmp_path, None)
    fail(tmp_path / "missing", None)
    assert [path.name for path in tmp_path.iterdir()] == [RUN_FILE]


def test_another_process_may_have_removed_the_folder(tmp_path: Path) -> None:
    run = tmp_path / "logs" / "run"
    with pytest.raises(KeyError), discarded_if_empty(tmp_path / "logs", lambda: run):
        (tmp_path / "logs").mkdir()
        raise KeyError
    assert [*tmp_path.iterdir()] == []
