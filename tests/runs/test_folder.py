from __future__ import annotations

from pathlib import Path

import pytest

from perceptrain_core.runs.file_names import RUN_FILE
from perceptrain_core.runs.folder import discarded_if_empty


def fail(base: Path, chosen: Path | None, *files: Path) -> None:
    """Fail after files were written, while a run has a folder or none."""
    with pytest.raises(ZeroDivisionError):
        write(base, chosen, files)


def write(base: Path, chosen: Path | None, files: tuple[Path, ...]) -> float:
    with discarded_if_empty(base, lambda: chosen):
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        return 1 / 0


def test_a_folder_with_nothing_but_the_run_file_is_removed(tmp_path: Path) -> None:
    run = tmp_path / "a" / "logs" / "run"
    fail(tmp_path / "a" / "logs", run, run / RUN_FILE)
    assert [*tmp_path.iterdir()] == []


def test_a_folder_with_something_else_is_kept(tmp_path: Path) -> None:
    run = tmp_path / "logs" / "run"
    fail(tmp_path / "logs", run, run / RUN_FILE, run / "metrics.csv")
    assert {path.name for path in run.iterdir()} == {RUN_FILE, "metrics.csv"}


def test_files_of_others_are_kept_while_no_folder_is_chosen(tmp_path: Path) -> None:
    (tmp_path / RUN_FILE).touch()
    fail(tmp_path, None)
    fail(tmp_path / "missing", None)
    assert [path.name for path in tmp_path.iterdir()] == [RUN_FILE]


def test_another_process_may_have_removed_the_folder(tmp_path: Path) -> None:
    fail(tmp_path / "a" / "logs", tmp_path / "a" / "logs" / "run")
    assert [*tmp_path.iterdir()] == []
