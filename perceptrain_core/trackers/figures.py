"""Create figures one at a time, and close each after use."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from torch import nn

from perceptrain_core.errors import TrainingError
from perceptrain_core.option_checks import fits

PlottingFunctions: TypeAlias = tuple[Callable[[nn.Module, int], tuple[str, Any]], ...]


def figures(
    model: nn.Module, iteration: int, plotting_functions: PlottingFunctions
) -> Iterator[tuple[str, Any]]:
    """Create each figure lazily, and close it before the next one is created.

    Yields:
        A name and a matplotlib figure.

    Raises:
        TrainingError: A plotting function did not return a name and a figure.
    """
    for function in plotting_functions:
        if not fits(function, model, iteration):
            raise TrainingError(
                f"The plotting function {getattr(function, '__name__', function)!s} cannot be "
                "called with two arguments; expected plot(model, epoch) -> (name, figure)."
            )
        match function(model, iteration):
            case str(name), figure if hasattr(figure, "savefig"):
                try:
                    yield name, figure
                finally:
                    _close(figure)
            case other:
                raise TrainingError(
                    f"The plotting function {getattr(function, '__name__', function)!s} "
                    f"returned {other!r:.60}; expected a name and a matplotlib figure."
                )


def picture_file(name: str, iteration: int) -> str:
    """Return the file name of a figure, ``NAME_EPOCH.png``."""
    return re.sub(r"[/\\:]", "_", name) + f"_{iteration:06d}.png"


def _close(figure: Any) -> None:
    """Close a figure in pyplot, which otherwise keeps it in memory."""
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close(figure)
