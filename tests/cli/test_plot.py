"""``perceptrain plot``."""

from __future__ import annotations

import pytest

from .conftest import invoke

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "metrics.csv").write_text("epoch,train_loss\n1,3.5\n2,1.5\n")
    return tmp_path / "one"


def test_the_path_of_the_picture_is_printed(folder):
    result = invoke("plot", "one")
    assert (result.exit_code, result.output) == (0, "one/curves.png\n")
    assert (folder / "curves.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("name", ["none", "one/metrics.csv"])
def test_no_folder_is_a_wrong_call(folder, name):
    result = invoke("plot", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: Invalid value for 'RUN_FOLDER'" in result.stderr


def test_a_folder_without_metrics_is_one_line(folder):
    result = invoke("plot", ".")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: There is no metrics.csv: expected the folder of a run.\n"
