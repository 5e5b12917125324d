"""The code of the README and the example run, and come to what they promise."""

from __future__ import annotations

import inspect
import re
import runpy
import tomllib
from pathlib import Path

import pytest
import torch

from perceptrain import get_model, registry

FOLDER = Path(__file__).parent.parent
README = (FOLDER / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_readme_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec("\n".join(blocks("python")), {"__name__": "readme"})
    printed = capsys.readouterr().out
    fitted, solved = re.findall(r"largest error: (\S+)", printed)
    assert float(fitted) < 0.05
    assert float(solved) < 0.05
    assert "('coupling', 'a')" in printed


def test_the_run_file_of_the_readme_names_a_model() -> None:
    (run,) = map(tomllib.loads, blocks("toml"))
    assert get_model(run["model"])(torch.rand(3, 1)).shape == (3, 2)


def test_the_readme_has_all_names_and_options() -> None:
    offered = {
        entry.name: entry
        for plugin in registry(refresh=True).plugins
        if plugin.distribution == "perceptrain-quantum"
        for entries in plugin.provides.values()
        for entry in entries
    }
    rows = dict(re.findall(r"^\| model \| `(\w+)` \| `\w+` \| (.*?) ?\|", README, re.M))
    assert set(rows) == set(offered)
    for name, options in rows.items():
        parameters = inspect.signature(offered[name].load()).parameters.values()
        assert options == ", ".join(f"`{p.name}={p.default!r}`" for p in parameters)


def test_the_example_leaves_a_picture(tmp_path: Path) -> None:
    main = runpy.run_path(str(FOLDER / "examples" / "oscillator.py"))["main"]
    picture = tmp_path / "oscillator.png"
    found = main(epochs=100, picture=picture)
    assert found.fitted < 0.15
    assert found.solved < 0.15
    assert picture.stat().st_size > 10_000
