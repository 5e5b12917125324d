"""``perceptrain report``."""

from __future__ import annotations

import pytest

from .conftest import invoke


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.csv").write_text("epoch,train_loss\n1,3.5\n2,1.5\n")
    return tmp_path


@pytest.mark.parametrize(
    ("args", "path"),
    [(["one"], "one/report.html"), (["one", "two"], "report.html"), (["one", "-o", "x"], "x")],
)
def test_the_path_of_the_page_is_printed(folder, args, path):
    result = invoke("report", *args)
    assert (result.exit_code, result.output) == (0, f"{path}\n")
    assert (folder / path).read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("name", ["none", "one/metrics.csv"])
def test_no_folder_is_a_wrong_call(folder, name):
    result = invoke("report", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: Invalid value for 'RUN...'" in result.stderr


def test_a_folder_without_a_run_is_one_line(folder):
    result = invoke("report", "one", ".")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert f"{folder} has neither run.toml nor metrics.csv" in result.stderr
