"""docs/pictures/losses/*.svg: losses as curves, computed by calling the losses by their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from pages.files import ROOT
from perceptrain import get_loss

STYLE = "perceptrain_core.pictures"
FOLDER = "docs/pictures/losses"
_DESCRIPTION = re.compile(r"<dc:description>(.*?)</dc:description>", re.DOTALL)

#: The loss and its options.
Loss = tuple[str, Mapping[str, Any]]
#: Returns the batch at a place of the x-axis; the first part is what the model returns.
Batch = Callable[[float], tuple[Any, Any]]


class Curves(NamedTuple):
    """Curves in one pair of axes.

    Attributes:
        lines: The losses by the labels of their curves.
        batch: The batch at each x, or one for each label.
        start, stop: The range of x.
        xlabel: What x is.
        relative: Whether each curve is divided by its largest value.
    """

    lines: Mapping[str, Loss]
    batch: Batch | Mapping[str, Batch]
    start: float
    stop: float
    xlabel: str
    relative: bool = False
    points: int = 81


def value(loss: Loss, batch: tuple[Any, Any]) -> float:
    """Return a loss of outputs: the model is the identity."""
    name, options = loss
    found = get_loss(name, **options)(batch, nn.Identity())[0]
    return float(found.detach())


def draw(name: str, panels: list[Curves]) -> None:
    """Draw the panels of one picture side by side."""
    with plt.style.context(STYLE):
        figure, axes = plt.subplots(1, len(panels), squeeze=False, figsize=(7, 3.2))
        for each, panel in zip(axes[0], panels, strict=True):
            _panel(each, panel)
        path = ROOT / FOLDER / f"{name}.svg"
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None, "Description": description(panels)})
        plt.close(figure)


def _panel(axes: Axes, panel: Curves) -> None:
    places = torch.linspace(panel.start, panel.stop, panel.points).tolist()
    for number, (label, loss) in enumerate(panel.lines.items()):
        batch = panel.batch if callable(panel.batch) else panel.batch[label]
        values = [value(loss, batch(x)) for x in places]
        if panel.relative:
            values = [each / max(map(abs, values)) for each in values]
        # Line styles tell curves apart without colours, and where they lie on each other.
        style = ("-", "--", "-.", ":")[number % 4]
        axes.plot(places, values, style, label=label)
    axes.set(xlabel=panel.xlabel, ylabel="loss / its maximum" if panel.relative else "loss")
    axes.legend()


def description(panels: list[Curves]) -> str:
    """Return what a picture shows, for readers that cannot see it and for the check."""
    lines = [
        f"{label} = {name} {dict(options)}"
        for p in panels
        for label, (name, options) in p.lines.items()
    ]
    return f"Losses as curves: {'; '.join(lines)}".replace("'", "")


def draw_all() -> None:
    """Draw all pictures."""
    from pages.curve_families import families

    torch.manual_seed(0)
    for name, panels in families().items():
        draw(name, panels)


def outdated() -> list[str]:
    """Return the pictures that are missing, or that show other losses or options."""
    from pages.curve_families import families

    found = []
    for name, panels in families().items():
        path = ROOT / FOLDER / f"{name}.svg"
        shown = _DESCRIPTION.search(path.read_text()) if path.is_file() else None
        if shown is None or shown[1] != description(panels):
            found.append(f"{FOLDER}/{name}.svg")
    return found


def row(number: float) -> Tensor:
    """Return one row with one number."""
    return torch.tensor([[float(number)]])
