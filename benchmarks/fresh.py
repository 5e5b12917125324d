"""Training in fresh processes: the time to the first steps, and memory over many.

Run as ``python -m benchmarks.fresh LOOP STEPS``, it trains work A, and prints what it measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from time import monotonic, process_time
from typing import Any

from benchmarks.listing import install_plugins

ROOT = Path(__file__).parent.parent
STATM = Path("/proc/self/statm")
#: Steps before the first look at the memory; captured steps are compiled by then.
SETTLED = 1000


def run(loop: str, steps: int, environ: dict[str, str] | None = None) -> dict[str, Any]:
    """Train in a fresh process.

    Args:
        loop: The name of a loop.
        steps: Optimizer steps, a multiple of 50.
        environ: Further variables of the environment.

    Returns:
        ``start``: seconds from the start of the process to the end of the first 50 steps; ``us``:
        processor time per step; ``mib``: memory after 1000 steps and at the end, on Linux.
    """
    left_out = "PYTHONDONTWRITEBYTECODE", "PERCEPTRAIN_PLUGINS"
    given = {key: value for key, value in os.environ.items() if key not in left_out}
    command = [sys.executable, "-m", "benchmarks.fresh", loop, str(steps)]
    start = monotonic()
    done = subprocess.run(
        command, cwd=ROOT, env=given | (environ or {}), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{loop} ended with exit code {done.returncode}:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "start": round(found["first"] - start, 2)}


def starts(turns: int, compiles: bool) -> dict[str, float]:
    """Return the median seconds from the start of a process to the end of the first 50 steps.

    Args:
        turns: Processes of each loop.
        compiles: Include captured steps, with an empty cache of the compiler and a filled one.
    """
    times: dict[str, list[float]] = {}
    for _ in range(turns):
        for loop in ("by hand", "Perceptrain"):
            times.setdefault(loop, []).append(run(loop, 100)["start"])
        if compiles:
            with tempfile.TemporaryDirectory() as cache:
                for name in ("first start", "second start"):
                    found = run(
                        "Perceptrain, compile=True", 100, {"TORCHINDUCTOR_CACHE_DIR": cache}
                    )
                    name = f"Perceptrain, compile=True, {name}"
                    times.setdefault(name, []).append(found["start"])
    return {name: round(median(values), 2) for name, values in times.items()}


def plugins(turns: int, number: int = 300) -> dict[str, dict[str, float]]:
    """Return ``us`` per step and seconds to the ``start`` with no plugin, and with many."""
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as root:
        install_plugins(Path(root), number)
        for turn in range(turns + 1):
            for name, environ in (
                ("no plugin", {"PERCEPTRAIN_PLUGINS": ""}),
                (f"{number} plugins", {"PYTHONPATH": root}),
            ):
                row = run("Perceptrain", 2000, environ)
                if turn:  # the first turn fills the caches
                    found.setdefault(name, []).append(row)
    return {
        name: {key: round(median(row[key] for row in rows), 2) for key in ("us", "start")}
        for name, rows in found.items()
    }


def memory(steps: int, compiles: bool) -> dict[str, list[float]]:
    """Return MiB after 1000 steps and at the end, by loop; nothing where there is no ``/proc``."""
    loops = ["Perceptrain", *(["Perceptrain, compile=True"] if compiles else [])]
    return {loop: run(loop, steps)["mib"] for loop in loops} if STATM.exists() else {}


def _resident() -> float:
    """Return MiB of resident memory."""
    if not STATM.exists():
        return float("nan")
    pages = int(STATM.read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def main() -> None:
    """Train, and print one line of JSON."""
    import torch

    from benchmarks.loops import HAND, PERCEPTRAIN
    from benchmarks.turns import Feed
    from benchmarks.works import regression

    torch.set_num_threads(1)
    work, (_, name, steps) = regression(), sys.argv
    size = len(work.batches)
    ends: list[tuple[float, float]] = []
    resident: list[float] = []

    def start_epoch() -> None:
        ends.append((monotonic(), process_time()))
        if len(ends) == SETTLED // size + 1:
            resident.append(_resident())

    # One epoch more, as the start of an epoch is the end of the one before.
    (HAND | PERCEPTRAIN)[name](work, Feed(work.batches, start_epoch), int(steps) // size + 1)
    resident.append(_resident())
    # Not the first epochs, in which steps are set up.
    epochs = [end - start for (_, start), (_, end) in pairwise(ends)][2:]
    us = 1e6 * quantiles(epochs)[0] / size if len(epochs) > 1 else None
    print(json.dumps({"first": ends[1][0], "us": us, "mib": resident}))


if __name__ == "__main__":
    main()
