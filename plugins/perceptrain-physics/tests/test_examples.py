"""The code of the README and the example run, and come to what they promise."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest

from perceptrain import get_callback, get_dataset, get_loss, get_model, registry

FOLDER = Path(__file__).parent.parent
README = (FOLDER / "README.md").read_text(encoding="utf-8")
MADE = {"model": get_model, "loss": get_loss, "data": get_dataset}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_readme_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec("\n".join(blocks("python")), {"__name__": "readme"})
    printed = capsys.readouterr().out
    assert float(printed.split("relative L2 error: ")[1].split()[0]) < 0.02
    assert float(printed.split("k = ")[1]) == pytest.approx(2, abs=0.03)


def test_the_run_file_of_the_readme_fits_together() -> None:
    (run,) = map(tomllib.loads, blocks("toml"))
    parts = {table: make(run[table]) for table, make in MADE.items()}
    callback = get_callback(run["callbacks"][0])
    loss, _ = parts["loss"](parts["data"].draw(), parts["model"])
    assert loss.isfinite()
    assert callback.problem.relative_l2(parts["model"], 5) > 0


def test_the_readme_has_all_names() -> None:
    offered = {
        name
        for plugin in registry(refresh=True).plugins
        if plugin.distribution == "perceptrain-physics"
        for entries in plugin.provides.values()
        for name in (entry.name for entry in entries)
    }
    listed = set(re.findall(r"^\| (?:model|loss|callback|data set) \| `(\w+)`", README, re.M))
    assert listed == offered


def test_the_example_leaves_a_picture(tmp_path: Path) -> None:
    main = runpy.run_path(str(FOLDER / "examples" / "helmholtz.py"))["main"]
    picture = tmp_path / "helmholtz.png"
    assert main(steps=400, picture=picture) < 0.2
    assert picture.stat().st_size > 10_000
