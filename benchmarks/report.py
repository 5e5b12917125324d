"""The figures as Markdown, and in the page of the docs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Figures = dict[str, Any]

BEGIN, END = "<!-- figures: written by make bench -->", "<!-- end of the figures -->"


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Format a table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def ratio(row: Figures | None) -> str:
    """Format a ratio with its quartiles, or nothing if it was not measured."""
    if row is None or "skipped" in row:
        return ""
    low, middle, high = row["ratio"]
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def steps(figures: Figures) -> str:
    """Format the main table: loops by works, and why something is missing."""
    works = figures["works"]
    names = list(dict.fromkeys(name for work in works.values() for name in work["rows"]))
    hand = names[0]
    rows = [
        ["**microseconds, by hand**", *(f"{w['rows'][hand]['us']:,.0f}" for w in works.values())]
    ]
    rows += [[name, *(ratio(w["rows"].get(name)) for w in works.values())] for name in names[1:]]
    parts = ["### Time per step, by hand = 1", table(["", *works], rows)]
    parts.append("\n".join(f"- **{name}**: {work['title']}" for name, work in works.items()))
    if skipped := _skipped(figures):
        parts.append("Not measured:")
        parts.append("\n".join(f"- {line}" for line in skipped))
    return "\n\n".join(parts)


def _skipped(figures: Figures) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for letter, work in figures["works"].items():
        for name, row in work["rows"].items():
            if "skipped" in row:
                reasons.setdefault(f"{name}: {row['skipped']}", []).append(letter)
    lines = [f"{reason} ({', '.join(letters)})" for reason, letters in reasons.items()]
    missing = figures["missing"].items()
    return lines + [f"{name}: {package} is not installed" for name, package in missing]


def growth(figures: Figures) -> str:
    """Format how the time per step grows."""
    names = [name for name in _names(figures["growth"]) if name != "by hand"]
    rows = [
        [row["what"], f"{row['value']:,}", f"{row['rows']['by hand']['us']:,.0f}"]
        + [ratio(row["rows"].get(name)) for name in names]
        for row in figures["growth"]
    ]
    head = ["what grows", "value", "by hand, microseconds", *names]
    return f"### Growth, by hand = 1\n\n{table(head, rows)}"


def _names(rows: list[Figures]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row["rows"]))


def equations(figures: Figures) -> str:
    """Format the equations of plugins, ``equations.py``."""
    works = figures["equations"]
    names = [name for name in _names([*works.values()]) if name != "by hand"]
    rows = [
        [name, work["title"], f"{work['rows']['by hand']['us']:,.0f}"]
        + [ratio(work["rows"].get(loop)) for loop in names]
        for name, work in works.items()
    ]
    head = ["equation", "network", "by hand, microseconds", *names]
    return f"### Equations of plugins, by hand = 1\n\n{table(head, rows)}"


def processes(figures: Figures) -> str:
    """Format the steps of two processes, ``processes.py``."""
    rows = [[row["title"], f"{row['us']:,.0f}", ratio(row)] for row in figures["processes"]]
    title = "### Two processes, by hand with `DistributedDataParallel` = 1"
    return f"{title}\n\n{table(['network', 'by hand, microseconds', 'Perceptrain'], rows)}"


def plugins(figures: Figures) -> str:
    """Format what installed plugins cost."""
    rows = [
        [name, f"{row['us']:.0f}", f"{row['start']:.2f}"]
        for name, row in figures["plugins"].items()
    ]
    head = ["installed", "microseconds per step of A", "start, seconds"]
    return f"### Installed plugins\n\n{table(head, rows)}"


def start(figures: Figures) -> str:
    """Format the time to the first steps."""
    rows = [[name, f"{value:.2f}"] for name, value in figures["start"].items()]
    title = "### From the start of a process to the end of 50 steps of A"
    return f"{title}\n\n{table(['', 'seconds'], rows)}"


def memory(figures: Figures) -> str:
    """Format the memory over many steps."""
    rows = [[name, *values] for name, values in figures["memory"].items()]
    title = f"### Memory over {figures['memory_steps']:,} steps of A, in MiB"
    return f"{title}\n\n{table(['', 'after 1,000 steps', 'at the end'], rows)}"


def weighting(figures: Figures) -> str:
    """Format the cost of a weighted step, ``weighted_step.py``."""
    rows = [
        [row["loss"], row["terms"], f"{row['update']:.2f}", f"{row['no update']:.2f}"]
        for row in figures["weighting"]
    ]
    head = ["terms of", "number", "a step that updates the weights", "any other step"]
    return f"### Weighted losses, the plain sum = 1\n\n{table(head, rows)}"


def listing(figures: Figures) -> str:
    """Format the time of a listing, ``listing.py``."""
    rows = [[name, f"{value:.0f}"] for name, value in figures["listing"].items()]
    title = "### `perceptrain list-losses`, beside a minimal typer program"
    return f"{title}\n\n{table(['', 'milliseconds'], rows)}"


def machine(figures: Figures) -> str:
    """Format where and when it was measured."""
    m = figures["machine"]
    busy = (
        "\n\nThe machine was busy with other programs: seconds and microseconds are too long, and "
        "ratios vary more than on a quiet one."
        if float(m["load"]) > int(m["cores"])
        else ""
    )
    return (
        f"Measured on {m['date']} on {m['processor']}, {m['cores']} cores, {m['system']}, with "
        f"{m['threads']} thread in float32; load average at the start {m['load']}.\n"
        f"{m['versions']}.{busy}"
    )


_PARTS: dict[str, Callable[[Figures], str]] = {
    "works": steps,
    "growth": growth,
    "equations": equations,
    "processes": processes,
    "plugins": plugins,
    "start": start,
    "memory": memory,
    "weighting": weighting,
    "listing": listing,
}


def markdown(figures: Figures) -> str:
    """Return all figures as Markdown."""
    parts = [part(figures) for name, part in _PARTS.items() if figures.get(name)]
    return "\n\n".join([machine(figures), *parts])


def write_page(page: Path, text: str) -> None:
    """Replace the figures of a page; create it if it does not exist."""
    old = page.read_text(encoding="utf-8") if page.exists() else f"{BEGIN}\n{END}\n"
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} has no lines {BEGIN!r} and {END!r} to write the figures between.")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def write_parts(page: Path, figures: Figures) -> None:
    """Replace the sections of the parts that were measured; a new one comes last."""
    text = page.read_text(encoding="utf-8")
    for section in (part(figures) for name, part in _PARTS.items() if figures.get(name)):
        title = section.partition("\n")[0]
        start = text.find(f"{title}\n")
        if start < 0:
            start = end = text.index(END)
        else:
            end = min(n for mark in ("\n### ", END) if (n := text.find(mark, start + 1)) > 0)
            end += text[end] == "\n"
        text = f"{text[:start]}{section}\n\n{text[end:]}"
    page.write_text(text, encoding="utf-8")
