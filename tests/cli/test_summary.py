"""``perceptrain summary``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perceptrain import FFNN, num_parameters

from .conftest import invoke

RUN = """
[model]
name = "ffnn"
layers = [2, 8, 1]
[data]
file = "not-there.csv"
inputs = ["a", "b"]
labels = ["y"]
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text(RUN)
    return tmp_path


def test_the_data_need_not_be_there(here):
    result = invoke("summary", "run.toml")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["MODULE", "TYPE", "PARAMETERS", "TRAINABLE", "SIZE"]
    assert lines[1] == ["network.0", "Linear", "24", "24", "96", "B"]
    assert lines[-1] == ["total", "FFNN", "33", "33", "132", "B"]


def test_json_of_another_model(here):
    result = invoke("summary", "run.toml", "--json", "--depth", "1", "--set", "model.layers=[4,2]")
    found = json.loads(result.stdout)
    assert found["parameters"] == found["trainable"] == num_parameters(FFNN([4, 2]))
    assert [row["name"] for row in found["rows"]] == ["network"]


def test_a_model_that_is_wrong(here):
    result = invoke("summary", "run.toml", "--set", "model.layers=[2]")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: run.toml, [model]: ")
