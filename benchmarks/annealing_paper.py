"""Reproduce the Helmholtz table of the learning-rate annealing paper, and try other schemes.

S. Wang, Y. Teng, P. Perdikaris, arXiv 2001.04536, and SIAM J. Sci. Comput. 43(5), 2021. With their
settings: ``u_xx + u_yy + u = q`` on ``[-1, 1]^2``, network 2-50-50-50-1 with tanh in float32,
Xavier-normal start, standardised inputs, 128 fresh points in the square and on each side at every
step, Adam at 1e-3 times 0.9 per 1000 steps, 40,000 steps, relative L2 error on 100 x 100 points.

M1 is the plain network, M2 the annealed one, M3 the modified network, M4 the annealed modified one.
Any other run is a network and a scheme, such as ``modified_mlp+grad_norm_balance``. A run of 40,000
steps takes 2 to 6 minutes on one core; ``--jobs`` trains several in parallel. With ``--results``
each result is saved when its run ends, and saved results are not computed again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import torch

from perceptrain import TrainConfig, Trainer, WeightedLoss
from perceptrain_physics import Helmholtz

STEPS, EPOCH = 40_000, 1000
ANNEALED = {"name": "grad_weighted", "fixed_metric": "pde"}
PAPER = {**ANNEALED, "every": 10}
ARXIV = {**PAPER, "denominator": "unweighted", "momentum": 0.1}

SCHEMES: dict[str, dict[str, Any]] = {
    "plain": {"name": "fixed", "weights": {}},
    "annealed": ANNEALED,
    "annealed-paper": PAPER,
    "annealed-arxiv": {**ARXIV, "max_weight": None},
    "annealed-arxiv-bounded": ARXIV,
    "annealed-matrices": {**PAPER, "parameters": "matrices"},
    "fixed-100": {"name": "fixed", "weights": {"boundary": 100.0}},
    "grad_norm_balance": {"name": "grad_norm_balance"},
    "gradnorm": {"name": "gradnorm"},
    "ntk": {"name": "ntk"},
    "relobralo": {"name": "relobralo"},
    "softadapt": {"name": "softadapt"},
    "dwa": {"name": "dwa"},
    "uncertainty": {"name": "uncertainty"},
    "random": {"name": "random"},
}
METHODS = {
    "M1": "mlp+plain",
    "M2": "mlp+annealed-paper",
    "M3": "modified_mlp+plain",
    "M4": "modified_mlp+annealed-paper",
}
#: Relative L2 errors: arXiv version, journal version.
PUBLISHED = {
    "M1": ("1.06e-1", "1.94e-1"),
    "M2": ("1.12e-2", "1.44e-2"),
    "M3": ("2.46e-2", "2.12e-2"),
    "M4": ("3.87e-3", "3.30e-3"),
}


def train(run: str, seed: int, steps: int = STEPS, waves: int = 4) -> dict[str, Any]:
    """Train one network; return its error, the processor time and the final weights.

    Args:
        run: A method of the paper, or ``NETWORK+SCHEME``.
        seed: Seed of the initial weights and the points.
        steps: Optimizer steps.
        waves: Waves of the solution along y; with 2 it is learned in a tenth of the steps.
    """
    torch.set_num_threads(1)
    network, name = METHODS.get(run, run).split("+")
    torch.manual_seed(seed)
    problem = Helmholtz(b=waves)
    model = problem.pinn(network, hidden=[50, 50, 50])
    loss_fn: Any = "mse" if name == "plain" else WeightedLoss("mse", SCHEMES[name])
    decay = {"name": "exponential", "gamma": 0.9 ** (1 / 1000), "interval": "batch"}
    epoch = next(size for size in range(min(steps, EPOCH), 0, -1) if steps % size == 0)
    config = TrainConfig(max_iter=steps // epoch, verbose=False, lr_scheduler=decay)
    trainer = Trainer(model, {"name": "adam", "lr": 1e-3}, config, loss_fn=loss_fn)
    start = process_time()
    trainer.fit(problem.loader(points=128, steps=epoch))
    seconds = process_time() - start
    weights = {} if name == "plain" else loss_fn.metric_weights
    error = problem.relative_l2(model)
    return {
        "run": run,
        "seed": seed,
        "steps": steps,
        "error": error,
        "seconds": round(seconds, 1),
        "weights": {name: float(f"{weight:.4g}") for name, weight in weights.items()},
    }


def known(path: Path | None, steps: int) -> list[dict[str, Any]]:
    """Read the saved results."""
    if path is None or not path.exists():
        return []
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [row for row in rows if row["steps"] == steps]


def train_all(
    runs: Iterable[tuple[str, int]], steps: int, jobs: int, path: Path | None
) -> list[dict[str, Any]]:
    """Train the runs without a saved result, and save each result when it is there."""
    rows = known(path, steps)
    there = {(row["run"], row["seed"]) for row in rows}
    # One job trains in this process, which has imported what it needs.
    pool: Executor = (
        ThreadPoolExecutor(1) if jobs == 1 else ProcessPoolExecutor(jobs, get_context("spawn"))
    )
    with pool:
        work = [pool.submit(train, *run, steps) for run in runs if run not in there]
        for done in as_completed(work):
            row = done.result()
            rows.append(row)
            print(
                f"  {row['run']}, seed {row['seed']}: {row['error']:.2e} in {row['seconds']:.0f} s",
                flush=True,
            )
            if path is not None:
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
    return rows


def table(runs: Iterable[str], rows: list[dict[str, Any]]) -> str:
    """Format our errors next to the published ones."""
    found = {run: [row for row in rows if row["run"] == run] for run in runs}
    plain = median(row["seconds"] for row in rows if row["run"] == "M1") if "M1" in found else None
    lines = [
        "| run | seeds | median error | least | largest | arXiv | journal | time, M1 = 1 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for run, own in found.items():
        errors = [row["error"] for row in own]
        figures = [f"{figure(errors):.2e}" for figure in (median, min, max)]
        time = f"{median(row['seconds'] for row in own) / plain:.2f}" if plain else ""
        cells = [run, str(len(own)), *figures, *PUBLISHED.get(run, ("", "")), time]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def checked(run: str, schemes: Iterable[str]) -> str:
    """Check a run: a method, or ``NETWORK+SCHEME``."""
    network, _, scheme = METHODS.get(run, run).partition("+")
    if network and scheme in schemes:
        return run
    raise argparse.ArgumentTypeError(
        f"{run!r}: expected {', '.join(METHODS)}, or NETWORK+SCHEME, such as mlp+ntk, with a "
        f"scheme of {', '.join(schemes)}"
    )


def main() -> None:
    """Parse the command line, train, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "runs", nargs="*", default=["M1", "M2", "mlp+annealed", "mlp+annealed-arxiv"],
        type=partial(checked, schemes=SCHEMES),
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ... of each run")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--results", type=Path, help="a file of JSON lines to continue from")
    options = parser.parse_args()
    runs = list(dict.fromkeys(options.runs))
    work = [(run, seed) for seed in range(options.seeds) for run in runs]
    rows = train_all(work, options.steps, options.jobs, options.results)
    print(table(runs, [row for row in rows if row["seed"] < options.seeds]))


if __name__ == "__main__":
    main()
