"""Draw confusion matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# With more classes the numbers would overlap.
_MOST_WITH_NUMBERS = 20


def draw_matrices(matrices: Tensor) -> Figure:
    """Draw confusion matrices side by side.

    Args:
        matrices: Of shape ``(K, C, C)``, true classes in rows; counts or fractions.

    Returns:
        A figure, independent of pyplot.
    """
    from matplotlib.figure import Figure

    count, classes = matrices.shape[:2]
    side = min(2.5 + 0.35 * classes, 12)
    figure = Figure(figsize=(side * count, side), layout="constrained")
    for number, matrix in enumerate(matrices.tolist()):
        axes = figure.add_subplot(1, count, number + 1)
        axes.imshow(matrix, cmap="Blues")
        axes.set(xlabel="predicted class", ylabel="true class")
        if count > 1:
            axes.set_title(f"label {number}")
        if classes > _MOST_WITH_NUMBERS:
            continue
        axes.set(xticks=range(classes), yticks=range(classes))
        middle = max(map(max, matrix)) / 2
        for row, values in enumerate(matrix):
            for column, value in enumerate(values):
                color = "white" if value > middle else "black"
                text = f"{value:.0f}" if float(value).is_integer() else f"{value:.2f}"
                axes.text(column, row, text, ha="center", va="center", color=color)
    return figure
