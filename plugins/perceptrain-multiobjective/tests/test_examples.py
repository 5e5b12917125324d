"""The code of the README and the example run, and come to what they promise."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest

from perceptrain import get_weighting, registry

FOLDER = Path(__file__).parent.parent
README = (FOLDER / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec("\n".join(blocks("python")), {"__name__": "readme"})
    assert "train_weight_second" in capsys.readouterr().out


def test_the_run_file_of_the_readme_names_a_weighting() -> None:
    (run,) = map(tomllib.loads, blocks("toml"))
    assert get_weighting(run["weighting"]).every == 5


def test_the_readme_has_all_names() -> None:
    offered = {
        entry.name
        for plugin in registry(refresh=True).plugins
        if plugin.distribution == "perceptrain-multiobjective"
        for entries in plugin.provides.values()
        for entry in entries
    }
    assert set(re.findall(r"^\| weighting \| `(\w+)`", README, re.M)) == offered


def test_the_example_shows_who_finds_the_middle(tmp_path: Path) -> None:
    main = runpy.run_path(str(FOLDER / "examples" / "two_minima.py"))["main"]
    picture = tmp_path / "two_minima.png"
    spread = main(steps=200, picture=picture)
    assert spread["plain sum"] < 0.1  # all starts end at the steep minimum
    assert min(spread["mgda"], spread["config"]) > 0.3
    assert picture.stat().st_size > 10_000
