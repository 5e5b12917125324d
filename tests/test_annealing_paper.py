"""The measurement of the annealing paper's table, on a solution that is soon learned."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from perceptrain import get_weighting, registry

from .forked import ForkServer

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "annealing_paper.py"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


@pytest.fixture(autouse=True)
def _threads() -> Any:
    """Training takes one thread for itself, and is not alone in this process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_annealing_beats_the_plain_sum(script: dict[str, Any]) -> None:
    plain, annealed = (script["train"](run, seed=0, steps=200, waves=1) for run in ("M1", "M2"))
    assert plain["error"] / annealed["error"] > 2
    assert annealed["error"] < 0.4
    assert annealed["weights"].keys() == {"pde", "boundary"}
    assert annealed["weights"]["pde"] == 1
    assert 10 < annealed["weights"]["boundary"] < 1000


def test_every_scheme_is_there(script: dict[str, Any]) -> None:
    names = {scheme["name"] for scheme in script["SCHEMES"].values()}
    assert names == {
        entry.name
        for entry in registry().weightings.values()
        if entry.distribution == "perceptrain-core"
    }
    for scheme in script["SCHEMES"].values():
        get_weighting(scheme)


def test_the_command_prints_a_table_and_goes_on_from_its_results(
    tmp_path: Path, forks: ForkServer
) -> None:
    results = tmp_path / "results.jsonl"
    known = {"run": "M1", "seed": 0, "steps": 10, "error": 0.5, "seconds": 2.0, "weights": {}}
    results.write_text(json.dumps(known) + "\n")
    options = ["--steps=10", "--seeds=1", f"--results={results}"]
    done = forks.run(str(SCRIPT), "M1", "mlp+grad_norm_balance", *options)
    done.check_returncode()
    assert "| M1 | 1 | 5.00e-01 | 5.00e-01 | 5.00e-01 | 1.06e-1 | 1.94e-1 | 1.00 |" in done.stdout
    assert "| mlp+grad_norm_balance | 1 |" in done.stdout
    assert [json.loads(line)["run"] for line in results.read_text().splitlines()] == [
        "M1",
        "mlp+grad_norm_balance",
    ]


def test_a_run_that_is_not_known_is_refused(forks: ForkServer) -> None:
    done = forks.run(str(SCRIPT), "M5")
    assert done.returncode == 2
    assert "'M5': expected M1, M2, M3, M4, or NETWORK+SCHEME" in done.stderr
