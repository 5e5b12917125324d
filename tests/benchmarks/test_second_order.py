"""The comparison of methods on problems with known solutions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.pinn_problems import SETUPS
from benchmarks.second_order import METHODS, method_of, read
from benchmarks.second_order_table import draw, summary, table
from perceptrain_physics import Problem

from ..forked import ForkServer

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_command_trains_for_a_time(forks: ForkServer) -> None:
    what = ["poisson", "lbfgs", "--seconds=0.5", "--seeds=1"]
    done = forks.run("-m", "benchmarks.second_order", *what, cwd=ROOT)
    done.check_returncode()
    first, last = done.stdout.splitlines()
    row = json.loads(first)
    assert row["problem"] == "poisson"
    assert row["failure"] is None
    assert 0.5 <= row["seconds"] < 2
    assert row["parameters"] == 129
    assert row["iterations"] > 10
    assert 50 < row["memory_mb"] < 10_000
    (_, start), *_, (_, end) = row["curve"]
    assert row["best"] < start
    assert row["error"] == end
    assert last.startswith(f"poisson, lbfgs: error {row['error']:.2e}")


@pytest.mark.slow
def test_a_problem_in_windows_shares_the_time_between_them(forks: ForkServer) -> None:
    done = forks.run("-m", "benchmarks.second_order", "advection", "adam", "--seconds=1", cwd=ROOT)
    done.check_returncode()
    row = json.loads(done.stdout.splitlines()[0])
    assert row["parameters"] == 10 * 521  # a network for each window
    assert 1 <= row["seconds"] < 3
    assert row["iterations"] > 20
    assert row["curve"] == [[pytest.approx(row["seconds"], abs=0.1), row["error"]]]


def test_the_models_of_windows_become_one() -> None:
    setup = SETUPS["advection"]()
    windows: list[Problem] = []

    def train(window: Problem) -> torch.nn.Module:
        windows.append(window)
        return window.pinn(hidden=setup.hidden)

    model = setup.solve(train)
    assert [window.box.low[0] for window in windows] == pytest.approx([n / 10 for n in range(10)])
    assert model(setup.problem.box.grid(3).float()).shape == (9, 1)
    replace(setup, windows=1).solve(train)
    assert windows[10:] == [setup.problem]


@pytest.mark.parametrize("name", SETUPS)
def test_every_problem_has_its_points(name: str) -> None:
    setup = SETUPS[name]()
    model = setup.problem.pinn(hidden=setup.hidden)
    batch = next(iter(setup.data(model, every=10, steps=2)))
    loss, terms = _loss(setup)(batch, model)
    assert loss.isfinite()
    assert terms.keys() >= model.equations.keys() == batch.keys()
    sizes = {"burgers": 941, "helmholtz30": 1981, "helmholtz50": 5301, "allen_cahn": 941}
    if name in sizes:
        assert sum(parameter.numel() for parameter in model.parameters()) == sizes[name]
    if name.startswith("helmholtz"):
        own = model(batch)
        mean = own["boundary"].square().mean() / 4  # over the four sides
        torch.testing.assert_close(loss, own["pde"].square().mean() + 100 * mean)


def _loss(setup: Any) -> Any:
    from perceptrain import get_loss

    return get_loss(setup.loss)


def test_a_method_may_start_from_the_result_of_adam() -> None:
    setup = SETUPS["burgers"]()
    optimizer, every = method_of("adam+ssbroyden", setup)
    assert optimizer["optimizers"] == [METHODS["adam"].optimizer, METHODS["ssbroyden"].optimizer]
    assert optimizer["milestones"] == [50]
    assert every == METHODS["ssbroyden"].every == 25


def test_an_unknown_method_is_refused(forks: ForkServer) -> None:
    done = forks.run("-m", "benchmarks.second_order", "poisson", "newton", cwd=ROOT)
    assert done.returncode == 2
    assert "'newton': expected adam, soap" in done.stderr


ROW = {
    "problem": "burgers",
    "method": "lbfgs",
    "seed": 0,
    "error": 2e-3,
    "best": 1e-3,
    "seconds": 60.2,
    "iterations": 1234,
    "parameters": 941,
    "memory_mb": 400,
    "failure": None,
    "curve": [[1.0, 0.5], [60.2, 2e-3]],
}


@pytest.mark.slow
def test_saved_lines_become_a_table_and_a_picture(tmp_path: Path) -> None:
    lines = [
        ROW,
        ROW | {"method": "adam", "error": float("nan"), "curve": []},
        ROW | {"seed": 1, "error": 4e-3},
        ROW | {"seed": 2, "error": 3e-3},
        ROW | {"problem": "inverse", "viscosity_error": 0.01},
    ]
    saved = tmp_path / "lines.txt"
    saved.write_text("\n".join([*map(json.dumps, lines), "a summary"]))
    rows = read(saved)
    head, _, *found = table(rows).splitlines()
    assert head.startswith("| problem | parameters | method | error |")
    cells = "60 | 1,234 | 400 MB |"
    assert found == [
        f"| burgers | 941 | lbfgs | 3.0e-03 | 2.0e-03 to 4.0e-03, 3 seeds | 1.0e-03 | {cells}",
        f"|  |  | adam | inf | 1 seed | 1.0e-03 | {cells}",
        f"| inverse | 941 | lbfgs | 2.0e-03, viscosity 1.0e-02 | 1 seed | 1.0e-03 | {cells}",
    ]
    assert summary([rows[0]]).startswith("burgers, lbfgs: error 2.00e-03")
    picture = tmp_path / "pictures" / "second_order.svg"
    draw(rows, picture)
    first = picture.read_text()
    assert "<svg" in first
    draw(rows, picture)
    assert picture.read_text() == first
