"""What the README says Perceptrain does that others do not, with the figures of the benchmarks."""

from __future__ import annotations

import re
from pathlib import Path

from pages.files import ROOT, Files
from pages.first_party import own_entries
from perceptrain_core.registry.selection import BUILTIN_DISTRIBUTION

START, END = "<!-- figures: written by make pages -->", "<!-- end of the figures -->"
_TEMPLATE = Path(__file__).with_name("claims.md")


def claims(docs: Path) -> str:
    """Return the claims, with figures from the pages in a folder.

    Args:
        docs: The folder with ``benchmarks.md`` and ``second_order.md``.

    Raises:
        LookupError: If a page has no figure that a claim needs.
    """
    benchmarks = (docs / "benchmarks.md").read_text()
    step = _section(benchmarks, "Time per step, by hand = 1")
    others = ("Lightning", "HF Trainer", "Ignite")
    figures = {name: _range(_row(step, name)) for name in others}
    figures["own"] = _range(_row(step, "Perceptrain"))
    figures["captured"] = _range(_row(step, "Perceptrain, compile=True"))
    processes = _section(benchmarks, "Two processes, by hand with")
    figures["processes"] = _range([cells[-1] for cells in _rows(processes)[1:]])
    figures |= _errors((docs / "second_order.md").read_text(), "helmholtz30")
    kinds = ("losses", "weightings", "optimizers")
    counts = {kind: str(len(own_entries(kind))) for kind in kinds}
    built_in = [e for e in own_entries("losses") if e.distribution == BUILTIN_DISTRIBUTION]
    counts["built_in"] = str(len(built_in))
    return _TEMPLATE.read_text().format_map(figures | counts)


def build() -> Files:
    """Return the README and the home page with their claims written anew."""
    docs = ROOT / "docs"
    text = claims(docs)
    return {
        "README.md": _with(ROOT / "README.md", text),
        "docs/index.md": _with(docs / "index.md", text.replace("](docs/", "](")),
    }


def _with(page: Path, text: str) -> str:
    before, start, rest = page.read_text().partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise LookupError(f"{page.name} has no lines {START!r} and {END!r}")
    return f"{before}{START}\n\n{text}\n{END}{after}"


def _section(page: str, title: str) -> str:
    _, found, rest = page.partition(f"### {title}")
    if not found:
        raise LookupError(f"no section {title!r}: run make bench")
    return rest.partition("\n### ")[0]


def _rows(text: str) -> list[list[str]]:
    """Return the cells of the tables in a text, without their rules."""
    lines = [line for line in text.splitlines() if line.startswith("|") and "---" not in line]
    return [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines]


def _row(section: str, name: str) -> list[str]:
    for first, *cells in _rows(section):
        if first == name:
            return cells
    raise LookupError(f"no row {name!r} in the benchmarks: run make bench with it installed")


def _range(cells: list[str]) -> str:
    """Return "0.98 to 1.05" for cells such as "0.98 (0.96 to 1.02)"."""
    medians = [match[0] for cell in cells if (match := re.match(r"[\d.]+", cell))]
    return f"{min(medians, key=float)} to {max(medians, key=float)}"


def _errors(page: str, problem: str) -> dict[str, str]:
    """Return the error of each method on a problem; only the first row of a problem names it."""
    errors, current = {}, ""
    for cells in _rows(page):
        current = cells[0] or current
        if current == problem and len(cells) > 3:
            errors[cells[2]] = cells[3]
    return errors
