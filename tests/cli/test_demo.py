"""``perceptrain demo``: one call, with less training, and what it promises."""

from __future__ import annotations

import csv
import operator
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib.image
import pytest

from perceptrain_core.registry import Registry
from perceptrain_core.runs.read import read_run_file

from ..forked import ForkServer
from .conftest import invoke

#: The demo with a fifth of the epochs of the digits, and a fifteenth of the steps of the equation.
pytestmark = pytest.mark.slow

SHORT = """
from perceptrain_core.cli import demo_digits, demo_helmholtz
from perceptrain_core.cli.main import main
assert "max_iter = 30" in demo_digits.RUN
demo_digits.RUN = demo_digits.RUN.replace("max_iter = 30", "max_iter = 6")
demo_helmholtz.STEPS = 200
main()
"""


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer) -> SimpleNamespace:
    """The output of the demo, and its folder."""
    root = tmp_path_factory.mktemp("demo")
    done = forks.run("-c", SHORT, "demo", "--dir", "out", cwd=root)
    assert (done.returncode, done.stderr) == (0, "")
    return SimpleNamespace(root=root, folder=root / "out", text=done.stdout)


def results(text: str) -> dict[tuple[str, str], str]:
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("TASK "))
    rows = (re.split(r" {2,}", line) for line in lines[start + 1 : start + 5])
    return {(task, loss): result for task, loss, _, result in rows}


def number(result: str) -> float:
    return float(re.search(r"\d\.[\de-]+", result)[0])


def test_it_lists_every_loss(demo):
    listed = {line.split()[0] for line in demo.text.split("\n\n")[1].splitlines()[1:]}
    assert listed == set(Registry().losses)


def test_digits_are_told_apart(demo):
    assert number(results(demo.text)["digits", "cross_entropy"]) > 0.95


def test_weighted_terms_halve_the_error_at_least(demo):
    rows = results(demo.text)
    weighted, plain = (number(rows["helmholtz", name]) for name in ("grad_weighted", "mse"))
    assert weighted < 1 < plain  # zero everywhere has an error of 1
    assert 2 * weighted < plain


def test_the_pictures_are_there(demo):
    listed = demo.text.split("Pictures and a report:\n")[1].splitlines()
    paths = [demo.root / line.strip() for line in listed]
    pictures = {Path("helmholtz.png"), Path("digits/curves.png")}
    assert {p.relative_to(demo.folder) for p in paths} == pictures | {Path("tumours/report.html")}
    for path in (path for path in paths if path.suffix == ".png"):
        picture = matplotlib.image.imread(path)
        assert min(picture.shape[:2]) > 300
        assert picture.std() > 0.05


def test_its_run_file_is_shown_and_can_be_used(demo):
    path = demo.folder / "digits.toml"
    assert f"perceptrain train {path.relative_to(demo.root)}" in demo.text
    assert read_run_file(path).data.name == "digits"
    assert all(f"    {line}".rstrip() in demo.text for line in path.read_text().splitlines())
    assert (demo.folder / "digits" / "model.pt").is_file()


def test_the_table_is_kept(demo):
    lines = (demo.folder / "summary.csv").read_text().splitlines()
    assert lines[0] == "TASK,LOSS,SECONDS,RESULT"
    assert len(lines) == 5


def test_the_table_of_tumours_becomes_a_model_in_use(demo):
    with (demo.folder / "new.csv").open(newline="") as file:
        truth = [row["diagnosis"] for row in csv.DictReader(file)]
    with (demo.folder / "predicted.csv").open(newline="") as file:
        predicted = [row["diagnosis"] for row in csv.DictReader(file)]
    accuracy = sum(map(operator.eq, truth, predicted)) / len(truth)
    assert accuracy == pytest.approx(number(results(demo.text)["tumours", "cross_entropy"]))
    assert accuracy > 0.93
    for name in ("init", "train", "test", "predict", "report"):
        assert f"    perceptrain {name} " in demo.text


@pytest.mark.parametrize("missing", [["sklearn"], ["sklearn", "matplotlib"]])
def test_without_the_extra_one_line_names_it(tmp_path, monkeypatch, missing):
    monkeypatch.chdir(tmp_path)
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    result = invoke("demo")
    assert (result.exit_code, result.stdout) == (1, "")
    names = " and ".join(missing)
    assert (
        result.stderr == f'Error: The demo needs {names}: pip install "perceptrain-core[demo]".\n'
    )
    assert not any(tmp_path.iterdir())
