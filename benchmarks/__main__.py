"""Measure Perceptrain against loops by hand, and against the other frameworks that are installed.

``python -m benchmarks`` takes about 10 minutes on a quiet machine, ``--quick`` about one. All loops
train the same works with Adam, in turns in one process; the figures are medians of the ratios of
turns that follow each other, with quartiles.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import equations, fresh, listing, processes, weighted_step
from benchmarks.loops import HAND, PERCEPTRAIN
from benchmarks.machine import machine
from benchmarks.measure import compare, growth
from benchmarks.others import installed, missing
from benchmarks.picture import draw
from benchmarks.report import Figures, markdown, write_page, write_parts
from benchmarks.works import WORKS

PARTS = (
    *("works", "growth", "equations", "processes", "plugins", "start", "memory", "weighting"),
    "listing",
)
QUICK = ("works", "weighting")


def parsed() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a run of about a minute")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="measure only these")
    parser.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS))
    parser.add_argument("--seconds", type=float, help="the time for the turns of each work")
    parser.add_argument("--no-compile", action="store_true", help="leave out all that is compiled")
    parser.add_argument("--no-others", action="store_true", help="leave out other frameworks")
    parser.add_argument(
        "--docs", type=Path, metavar="FOLDER",
        help="write the tables to benchmarks.md in this folder, and the picture beside it; with "
        "--parts only these",
    )  # fmt: skip
    return parser.parse_args()


def works(options: argparse.Namespace, seconds: float) -> Figures:
    """Measure all loops on each work."""
    loops = HAND | PERCEPTRAIN | ({} if options.no_others else installed())
    if options.no_compile:
        loops = {name: loop for name, loop in loops.items() if "compile" not in name}
    found = {}
    for name in options.works:
        work = WORKS[name]()
        say(f"{name}: {work.title}")
        found[name] = {"title": work.title, "rows": compare(work, loops, seconds)}
    return found


def grown(options: argparse.Namespace, seconds: float) -> list[Figures]:
    """Measure how the time per step grows."""
    rows = []
    for what, value, work, loops in growth(compiles=not options.no_compile):
        say(f"{what}: {value}")
        rows.append({"what": what, "value": value, "rows": compare(work, loops, seconds)})
    return rows


def solved(seconds: float, compiles: bool) -> Figures:
    """Measure the equations of plugins."""
    loops = {name: loop for name, loop in equations.LOOPS.items() if compiles or "=" not in name}
    found = {}
    for name, make in equations.works().items():
        work = make()
        say(f"{name}: {work.title}")
        found[name] = {"title": work.title, "rows": compare(work, loops, seconds)}
    return found


def weighted(quick: bool) -> list[Figures]:
    """Measure weighted steps."""
    steps, turns = (10, 5) if quick else (20, 11)
    return [
        {"loss": loss.__name__, "terms": terms, **weighted_step.measure(loss, terms, steps, turns)}
        for loss in (weighted_step.labelled, weighted_step.residuals)
        for terms in ((2,) if quick else (2, 4, 8))
    ]


def measured(options: argparse.Namespace) -> Iterator[Figures]:
    """Measure all that was asked for; yields the figures so far after each part."""
    quick, compiles = options.quick, not options.no_compile
    seconds = options.seconds if options.seconds is not None else (4.0 if quick else 10.0)
    steps = 5000 if quick else 100_000
    measures: dict[str, Any] = {
        "works": lambda: works(options, seconds),
        "growth": lambda: grown(options, seconds / 5),
        "equations": lambda: solved(seconds / 5, compiles),
        "processes": lambda: processes.measure(seconds),
        "plugins": lambda: fresh.plugins(turns=1 if quick else 2),
        "start": lambda: fresh.starts(turns=1 if quick else 2, compiles=compiles),
        "memory": lambda: fresh.memory(steps, compiles),
        "weighting": lambda: weighted(quick),
        "listing": lambda: listing.measure(turns=1 if quick else 7),
    }
    skipped = {} if options.no_others else missing()
    figures: Figures = {"machine": machine(), "missing": skipped, "memory_steps": steps}
    for part in options.parts or (QUICK if quick else PARTS):
        say(f"measuring {part}")
        figures[part] = measures[part]()
        yield figures


def say(text: str) -> None:
    """Report the progress, apart from the results."""
    print(text, file=sys.stderr, flush=True)


def write(figures: Figures, folder: Path, parts: bool) -> None:
    """Write the tables and the picture; only replace those of some parts if so asked."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "benchmarks.md"
    if parts and page.exists():
        write_parts(page, figures)
    else:
        write_page(page, markdown(figures))
    if "works" in figures:
        draw(figures["works"], folder / "pictures" / "benchmarks.svg")


def main() -> None:
    """Measure, print and write."""
    options = parsed()
    figures: Figures = {}
    for figures in measured(options):  # what a run that is interrupted has measured is kept
        if options.docs is not None:
            write(figures, options.docs, parts=options.parts is not None)
    print(json.dumps(figures, indent=2) if options.json else markdown(figures))
    if "listing" in figures and listing.is_slow(figures["listing"]):
        sys.exit("Listing has become slow.")


if __name__ == "__main__":
    main()
