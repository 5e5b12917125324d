"""The code of the README and the example run, and come to what they promise."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

from perceptrain import registry
from perceptrain_metric_learning.parts import PARTS

FOLDER = Path(__file__).parent.parent
README = (FOLDER / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_readme_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec("\n".join(blocks("python")), {"__name__": "readme"})
    before, after = re.findall(r"precision at 1: ([\d.]+)", capsys.readouterr().out)
    assert float(before) < 0.8
    assert float(after) > 0.95


def test_the_run_file_of_the_readme_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (run,) = blocks("toml")
    Path("run.toml").write_text(run, encoding="utf-8")
    command = ["perceptrain", "train", "run.toml", "--set", "train.max_iter=3"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as done:
        runpy.run_module("perceptrain", run_name="__main__")
    assert not done.value.code
    assert "val_accuracy" in capsys.readouterr().out


def test_the_readme_has_all_names() -> None:
    offered = {
        entry.name
        for plugin in registry(refresh=True).plugins
        if plugin.distribution == "perceptrain-metric-learning"
        for entries in plugin.provides.values()
        for entry in entries
    }
    assert set(re.findall(r"^\| loss \| `(\w+)`", README, re.M)) == offered


@pytest.mark.parametrize("kind", PARTS)
def test_the_readme_has_all_parts(kind: str) -> None:
    (names,) = re.findall(rf"^\| `(?:\w+_)?{kind}`[^|]*\|([^|]*)\|", README, re.M)
    assert set(re.findall(r"`(\w+)`", names)) == set(PARTS[kind])


def test_the_example_leaves_a_picture(tmp_path: Path) -> None:
    main = runpy.run_path(str(FOLDER / "examples" / "digits.py"))["main"]
    picture = tmp_path / "digits.png"
    before, after = main(epochs=15, picture=picture)
    assert before < 0.4
    assert after > 0.85
    assert picture.stat().st_size > 10_000
