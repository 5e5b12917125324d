"""The picture of the time per step, on a light background that a dark page can show, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

COLUMNS = 3
OWN, OTHER = "C0", "C6"


def draw(works: dict[str, Any], path: Path) -> None:
    """Draw a panel for each work: the ratio of each loop to the loop by hand, with quartiles.

    Args:
        works: The figures by work.
        path: Where to write the picture, as SVG.
    """
    from matplotlib import style

    with style.context("perceptrain_core.pictures"):
        _draw(works, path)


def _draw(works: dict[str, Any], path: Path) -> None:
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for work in works.values() for name in work["rows"]))[::-1]
    columns, rows = min(len(works), COLUMNS), -(-len(works) // COLUMNS)
    size = 2 + 2.3 * columns, rows * (1 + 0.22 * len(names))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).flat
    for panel in panels[len(works) :]:
        panel.set_axis_off()
    for panel, (letter, work) in zip(panels, works.items(), strict=False):
        for place, name in enumerate(names):
            row = work["rows"].get(name, {})
            if "ratio" in row:
                _bar(panel, place, name, row["ratio"])
        panel.axvline(1, color="#222222", linewidth=1, zorder=3)
        panel.set_yticks(range(len(names)), names)
        panel.set_xlim(0, _limit(work))
        panel.set_title(_title(letter, work["title"]), fontsize=8, loc="left")
        panel.tick_params(labelsize=8, length=0)
        panel.spines["left"].set_visible(False)
        panel.grid(visible=False, axis="y")
    figure.supxlabel("time per step, by hand = 1", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=100)


def _bar(panel: Any, place: int, name: str, ratio: list[float]) -> None:
    low, middle, high = ratio
    color = OWN if name.startswith("Perceptrain") else OTHER
    panel.barh(place, middle, color=color, height=0.62)
    panel.plot([low, high], [place, place], color="#222222", linewidth=1)
    panel.annotate(
        f"{middle:.2f}", (max(middle, high), place), (3, 0), textcoords="offset points",
        va="center", fontsize=7.5, color="#222222",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8}, zorder=4,
    )  # fmt: skip


def _limit(work: dict[str, Any]) -> float:
    highest: float = max(row["ratio"][2] for row in work["rows"].values() if "ratio" in row)
    return 1.25 * max(highest, 1.0)


def _title(letter: str, title: str) -> str:
    first, _, rest = title.partition(", ")
    return f"{letter}: {first}\n{rest}"
