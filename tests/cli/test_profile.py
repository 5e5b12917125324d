"""``perceptrain profile``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import invoke

RUN = """
[model]
name = "ffnn"
layers = [2, 8, 1]
[data]
name = "./code.py:rows"
[train]
batch_size = 8
"""
CODE = """
import torch

def rows():
    print("a data function may print")
    x = torch.rand(40, 2)
    return x, x.sum(dim=1, keepdim=True)
"""
SECTIONS = ["data", "loss", "backward", "optimizer", "callbacks"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text(RUN)
    Path("code.py").write_text(CODE)
    return tmp_path


def test_a_table_and_nothing_else(here):
    before = set(here.iterdir())
    result = invoke("profile", "run.toml", "--steps", "3")
    assert result.exit_code == 0
    assert result.stderr == "a data function may print\n"
    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        "SECTION",
        *SECTIONS,
        "total",
    ]
    assert {path for path in here.iterdir() if path.name != "__pycache__"} == before


def test_json(here):
    found = json.loads(invoke("profile", "run.toml", "--json", "--steps", "2").stdout)
    assert found["steps"] == 2
    assert list(found["seconds"]) == list(found["shares"]) == SECTIONS
    assert sum(found["shares"].values()) == pytest.approx(1)


def test_a_wrong_call(here):
    assert invoke("profile", "run.toml", "--steps", "0").exit_code == 2
    result = invoke("profile", "run.toml", "--set", "train.lr=1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "lr: unknown setting" in result.stderr
