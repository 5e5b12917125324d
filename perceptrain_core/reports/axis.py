"""Axes: where a value lies, where the ticks are, and how numbers are written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
#: A metric whose values span more than this factor is drawn on a logarithmic axis.
_LOG_FROM = 20.0
_TINY = 1e-300
_FEWEST_TICKS = 3


@dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    Attributes:
        low: The value at its start.
        high: The value at its end.
        log: Whether it is logarithmic.
    """

    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Return where a value lies: 0 at the start, 1 at the end."""
        if self.log:
            return (log10(value) - log10(self.low)) / (log10(self.high) - log10(self.low))
        # Halves, since the difference of two large values may overflow.
        return (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)

    def ticks(self, count: int = 5, *, whole: bool = False) -> list[float]:
        """Return round values inside the axis.

        Args:
            count: About how many.
            whole: Only whole numbers.
        """
        if self.log:
            return self._log_ticks(count)
        rough = (self.high / 2 - self.low / 2) / count * 2
        power = 10.0 ** floor(log10(rough))
        step = next((f * power for f in (1, 2, 5) if rough <= f * power), 10 * power)
        step = max(step, 1.0) if whole else step
        first, last = ceil(self.low / step), floor(self.high / step)
        return [number * step for number in range(first, last + 1)]

    def _log_ticks(self, count: int) -> list[float]:
        first, last = floor(log10(self.low)), ceil(log10(self.high))
        powers = range(first, last + 1, max(1, ceil((last - first) / count)))
        found: list[float] = []
        for factors in ((1,), (1, 3), (1, 2, 5)):
            values = (float(f"{factor}e{power}") for power in powers for factor in factors)
            found = [value for value in values if self.low <= value <= self.high]
            if len(found) >= _FEWEST_TICKS:
                break
        return found


def axis_of(values: Iterable[float], *, log: bool = False, margin: float = 0.04) -> Axis:
    """Return an axis that holds all finite values.

    Args:
        values: The values.
        log: Draw it logarithmically if all values are positive and span more than a factor of 20.
        margin: The room on both sides, as a share.
    """
    finite = [value for value in values if isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if log and low > _TINY and high / low > _LOG_FROM:
        room = (high / low) ** margin
        return Axis(max(low / room, _TINY), min(high * room, 1e308), log=True)
    room = (high / 2 - low / 2) * 2 * margin
    if room <= abs(high) * 1e-12:  # one value, or nearly: nothing else gives the scale
        room = abs(high) / 2 or 0.5
    return Axis(max(low - room, -1e308), min(high + room, 1e308))


def tick_text(value: float, ticks: Iterable[float]) -> str:
    """Return the text of a tick: as a power of ten if one of the ticks needs it."""
    sizes = [abs(tick) for tick in ticks]
    if abs(value) <= max(sizes, default=0.0) * 1e-9:
        return "0"
    if all(1e-3 <= size < 1e6 or size <= max(sizes) * 1e-9 for size in sizes):
        return f"{value:,.6g}"
    mantissa, _, power = f"{value:.3e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    exponent = f"10{str(int(power)).translate(_SUPERSCRIPTS)}"
    if int(power) == 0:
        return mantissa
    return exponent if mantissa == "1" else f"{mantissa}·{exponent}"


def number_text(value: float) -> str:
    """Return a figure as text, with four significant digits."""
    if not isfinite(value):
        return {"inf": "∞", "-inf": "-∞"}.get(str(value), "NaN")
    if value == int(value) and abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.4g}"
