"""A chart as numbers: lines or dots, with axes, a legend and a description."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import ceil, isfinite
from operator import itemgetter
from typing import Any

from perceptrain_core.metrics_file import COUNTERS
from perceptrain_core.reports.axis import Axis, axis_of, number_text, tick_text
from perceptrain_core.reports.metric_table import Point

#: The units of the picture; the page stretches it to the room that there is.
WIDTH, HEIGHT = 2000, 1000
COLORS = 8
MAX_POINTS = 1000  # per line; more would not be visible
_MAX_POINTS_OF_ALL = 6000


@dataclass(frozen=True)
class Line:
    """One line of a chart, or one set of dots.

    Attributes:
        label: Its name in the legend.
        points: Its points; a value that is not finite leaves a gap.
        color: The number of its color; colors repeat after the eighth.
        dashed: Draw it dashed.
        best: A point to mark.
    """

    label: str
    points: Sequence[Point]
    color: int = 0
    dashed: bool = False
    best: Point | None = None


@dataclass
class Chart:
    """A chart.

    Attributes:
        title: The title.
        lines: The lines.
        x_label: What the horizontal axis shows.
        y_label: What the vertical axis shows; empty for the metric of the title.
        log: Draw the vertical axis logarithmically if the values need it.
        dots: Draw dots instead of lines.
        guide: A straight line from one point to another, for comparison.
        caption: A sentence below.
        legend: Show the legend.
        square: Draw it about as high as wide.
    """

    title: str
    lines: list[Line]
    x_label: str = "epoch"
    y_label: str = ""
    log: bool = True
    dots: bool = False
    guide: tuple[Point, Point] | None = None
    caption: str = ""
    legend: bool = True
    square: bool = False

    @cached_property
    def shown(self) -> list[list[Point]]:
        """The points of each line that are drawn."""
        room = min(MAX_POINTS, max(100, _MAX_POINTS_OF_ALL // max(len(self.lines), 1)))
        choose = spread if self.dots else thinned
        return [choose(line.points, room) for line in self.lines]

    @cached_property
    def x(self) -> Axis:
        """The horizontal axis."""
        own = [x for points in self.shown for x, _ in points]
        return axis_of(own + [x for x, _ in self.guide or ()], margin=0.02)

    @cached_property
    def y(self) -> Axis:
        """The vertical axis."""
        own = [y for points in self.shown for _, y in points]
        return axis_of(own + [y for _, y in self.guide or ()], log=self.log)

    def paths(self) -> list[str]:
        """The ``d`` attribute of the SVG path of each line."""
        draw = self._dots if self.dots else self._line
        return ["".join(draw(points)) for points in self.shown]

    def guide_path(self) -> str:
        """The ``d`` attribute of the guide; empty without one."""
        return "".join(self._line(self.guide)) if self.guide else ""

    def marks(self) -> list[tuple[int, str]]:
        """The color and the path of each marked point."""
        marked = [(line.color % COLORS, line.best) for line in self.lines]
        return [(color, "".join(self._dots([best]))) for color, best in marked if best]

    def x_ticks(self) -> list[tuple[float, str]]:
        """The place of each tick in percent, and its text."""
        ticks = self.x.ticks(5, whole=self.x_label in COUNTERS)
        return _texts(self.x, ticks)

    def y_ticks(self) -> list[tuple[float, str]]:
        """The place of each tick in percent from the bottom, and its text."""
        return _texts(self.y, self.y.ticks(5))

    def data(self) -> dict[str, Any]:
        """What the page needs to show values: axes, and the points that are drawn."""
        return {
            "axes": [[axis.low, axis.high, int(axis.log)] for axis in (self.x, self.y)],
            "x": self.x_label,
            "dots": self.dots,
            "lines": [
                {"name": line.label, "color": line.color % COLORS, "points": _values(points)}
                for line, points in zip(self.lines, self.shown, strict=True)
            ],
        }

    def description(self) -> str:
        """The chart in words, for those who cannot see it."""
        scale = ", logarithmic" if self.y.log else ""
        parts = [
            f"{line.label}: {_summary(line.points, self.x_label)}" for line in self.lines[:COLORS]
        ]
        return f"{self.title} by {self.x_label}{scale}. " + " ".join(parts)

    def _line(self, points: Sequence[Point]) -> Iterator[str]:
        for gap, part in _parts(points):
            if gap:
                continue
            places = [self._place(point) for point in part]
            yield f"M{places[0][0]} {places[0][1]}"
            steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(places)]
            yield "l" + " ".join(f"{x} {y}" for x, y in steps) if steps else "h0"

    def _dots(self, points: Sequence[Point]) -> Iterator[str]:
        for point in points:
            if isfinite(point[0]) and isfinite(point[1]):
                x, y = self._place(point)
                yield f"M{x} {y}h0"

    def _place(self, point: Point) -> tuple[int, int]:
        x, y = self.x.place(point[0]), self.y.place(point[1])
        return round(WIDTH * x), round(HEIGHT * (1 - y))


def thinned(points: Sequence[Point], room: int = MAX_POINTS) -> list[Point]:
    """Keep the lowest and the highest point of each interval if there are too many.

    A point that is not finite is kept as the gap of its interval.

    Args:
        points: The points, in order.
        room: The largest number to keep.
    """
    if len(points) <= room:
        return list(points)
    size = ceil(len(points) / (room // 3))
    kept: list[Point] = []
    for start in range(0, len(points), size):
        interval = points[start : start + size]
        finite = [p for p in interval if isfinite(p[1])]
        ends = [min(finite, key=itemgetter(1)), max(finite, key=itemgetter(1))] if finite else []
        gap = [p for p in interval if not isfinite(p[1])][:1]
        kept += sorted({*ends, *gap}, key=itemgetter(0))
    return kept


def spread(points: Sequence[Point], room: int = MAX_POINTS) -> list[Point]:
    """Keep evenly spaced points, and the lowest and the highest, if there are too many."""
    finite = [p for p in points if isfinite(p[0]) and isfinite(p[1])]
    if len(finite) <= room:
        return finite
    stride = ceil(len(finite) / (room - 4))
    ends = {choose(finite, key=itemgetter(axis)) for axis in (0, 1) for choose in (min, max)}
    return [*finite[::stride], *ends]


def _parts(points: Sequence[Point]) -> Iterator[tuple[bool, list[Point]]]:
    """Split points into stretches with and without finite values."""
    part: list[Point] = []
    for point in points:
        if part and isfinite(part[-1][1]) != isfinite(point[1]):
            yield not isfinite(part[-1][1]), part
            part = []
        part.append(point)
    if part:
        yield not isfinite(part[-1][1]), part


def _texts(axis: Axis, ticks: Sequence[float]) -> list[tuple[float, str]]:
    return [(round(100 * axis.place(tick), 2), tick_text(tick, ticks)) for tick in ticks]


def _values(points: Sequence[Point]) -> list[list[float | None]]:
    """Return coordinates for JSON, with five significant digits, and without what is not finite."""
    finite = [p for p in points if isfinite(p[1])]
    return [[_short(x, 7) for x, _ in finite], [_short(y, 5) for _, y in finite]]


def _short(value: float, digits: int) -> float:
    number = float(f"{value:.{digits}g}")
    return int(number) if number == int(number) and abs(number) < 1e9 else number


def _summary(points: Sequence[Point], x_label: str) -> str:
    finite = [p for p in points if isfinite(p[1])]
    if not finite:
        return "no finite value."
    (x0, first), (x1, last) = finite[0], finite[-1]
    low, high = min(finite, key=itemgetter(1)), max(finite, key=itemgetter(1))
    return (
        f"{number_text(first)} at {x_label} {number_text(x0)}, {number_text(last)} at {x_label} "
        f"{number_text(x1)}, lowest {number_text(low[1])}, highest {number_text(high[1])}."
    )
