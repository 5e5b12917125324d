"""What capturing costs and gains."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median


@dataclass
class Costs:
    """What capturing cost and gained, in seconds.

    Attributes:
        compiling: Recording and compiling.
        eager: Each eager step that a captured one was compared with.
        steps: The captured steps that were not compared.
        count: Their number.
    """

    compiling: float = 0.0
    eager: list[float] = field(default_factory=list)
    steps: float = 0.0
    count: int = 0

    def summary(self) -> str | None:
        """Return the cost and the gain in a sentence; ``None`` if no step was captured."""
        if not self.count or not self.eager:
            return None
        each, eager = self.steps / self.count, median(self.eager)
        gain = self.count * (eager - each) - self.compiling
        text = (
            f"Compiled steps: {self.count:,} of {_time(each)} instead of {_time(eager)}; compiling "
            f"took {_time(self.compiling)}. "
        )
        if gain > 0:
            return f"{text}The run took {_time(gain)} less."
        if each < eager:
            needed = int(self.compiling / (eager - each)) + 1
            return f"{text}Compiling pays off after about {needed:,} steps."
        return f"{text}The compiled step is not faster: leave compile=True out."


def _time(seconds: float) -> str:
    """Return a time in words, such as "85 us", "1.20 ms" or "12.3 s"."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{1e3 * seconds:.2f} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.0f} us"
