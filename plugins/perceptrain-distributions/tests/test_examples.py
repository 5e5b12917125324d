"""The code of the README and the example run, and come to what they promise."""

from __future__ import annotations

import inspect
import re
import runpy
import tomllib
from pathlib import Path

import pytest

from perceptrain import get_loss, registry

FOLDER = Path(__file__).parent.parent
README = (FOLDER / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_readme_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec("\n".join(blocks("python")), {"__name__": "readme"})
    distance = float(capsys.readouterr().out.split("energy distance: ")[1].split()[0])
    assert 0 < distance < 0.02


def test_the_run_file_of_the_readme_names_a_loss() -> None:
    (run,) = map(tomllib.loads, blocks("toml"))
    assert not get_loss(run["loss"]).balanced


def test_the_readme_has_all_names_and_options() -> None:
    offered = {
        entry.name: entry
        for plugin in registry(refresh=True).plugins
        if plugin.distribution == "perceptrain-distributions"
        for entries in plugin.provides.values()
        for entry in entries
    }
    rows = dict(re.findall(r"^\| loss \| `(\w+)` \| `\w+` \| (.*?) ?\|", README, re.M))
    assert set(rows) == set(offered)
    for name, options in rows.items():
        parameters = inspect.signature(offered[name].load()).parameters.values()
        assert options == ", ".join(f"`{p.name}={p.default!r}`" for p in parameters)


def test_the_example_leaves_a_picture(tmp_path: Path) -> None:
    main = runpy.run_path(str(FOLDER / "examples" / "two_moons.py"))["main"]
    picture = tmp_path / "two_moons.png"
    found = main(steps=80, picture=picture)
    assert found.after < found.before / 5
    assert 0 < found.fresh < found.after
    assert picture.stat().st_size > 10_000
