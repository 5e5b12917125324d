"""Compare weightings on two functions of two variables, one ten times as steep as the other.

The first function has its minimum at (-1, 0), the second at (1, 0). The points between them are the
Pareto set. The plain sum ends near the minimum of the steep function from every start. The
optimizer is plain gradient descent, because Adam would bend the paths and overshoot the set.

On the Pareto set the gradients are parallel. There ``imtl_g`` divides by almost zero. The step
length of ``aligned_mtl`` is the smallest singular value of the gradients, and jumps when that value
counts as zero and the next one takes its place. Both can leave the set again with Adam, and
``imtl_g`` also after more steps. torchjd itself behaves in the same way.
"""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib import style
from matplotlib.figure import Figure
from torch import Tensor, nn

from perceptrain import Callback, TrainConfig, Trainer, WeightedLoss

PICTURE = Path("two_minima.png")
RULES = (None, "mgda", "pcgrad", "imtl_g", "aligned_mtl", "config")
STARTS = ((-1.5, 2.0), (0.0, 2.5), (1.5, 2.0), (-0.5, -2.0), (1.0, -2.5))
STEEP = 10.0


class Point(nn.Module):
    """A model of two trainable variables."""

    def __init__(self, start: tuple[float, float]) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.tensor(start))

    def forward(self, batch: Tensor) -> Tensor:
        """Return the position."""
        return self.position


def two_functions(batch: Tensor, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """Squared distances from both minima, with stretched axes."""
    stretch = torch.tensor([1.0, 0.5])
    position = model(batch)
    terms = {
        "left": (stretch * (position - torch.tensor([-1.0, 0.0]))).square().sum(),
        "right": STEEP * (stretch * (position - torch.tensor([1.0, 0.0]))).square().sum(),
    }
    return terms["left"] + terms["right"], terms


def descend(rule: str | None, start: tuple[float, float], steps: int) -> list[list[float]]:
    """Return the path from a start."""
    model, path, parts = Point(start), [[*start]], 20
    loss_fn = two_functions if rule is None else WeightedLoss(two_functions, rule)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03)
    record = Callback(callback=lambda *_: path.append(model.position.tolist()))
    config = TrainConfig(max_iter=parts, verbose=False, callbacks=[record])
    Trainer(model, optimizer, config, loss_fn).fit([torch.zeros(1)] * (steps // parts))
    return path


@style.context("perceptrain_core.pictures")
def draw(paths: dict[str, list[list[list[float]]]], path: Path) -> None:
    """Plot the paths of each rule in a separate panel."""
    figure = Figure(figsize=(9, 6))
    for axes, (rule, own) in zip(figure.subplots(2, 3).flat, paths.items(), strict=True):
        axes.plot([-1, 1], [0, 0], color="black", linewidth=4, alpha=0.3, label="Pareto set")
        for each in own:
            axes.plot(*zip(*each, strict=True), marker=".", markersize=4, linewidth=1)
        for at, marker, label in ((0, "ws", "start"), (-1, "ko", "end")):
            points = zip(*(each[at] for each in own), strict=True)
            axes.plot(*points, marker, markeredgecolor="black", label=label)
        axes.set(title=rule, xlim=(-2, 2), ylim=(-3, 3), xlabel="first number")
        axes.set(ylabel="second number")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(path)


def main(steps: int = 300, picture: Path = PICTURE) -> dict[str, list[list[float]]]:
    """Return the end points of the paths of each rule."""
    torch.manual_seed(0)
    paths = {
        rule or "plain sum": [descend(rule, start, steps) for start in STARTS] for rule in RULES
    }
    draw(paths, picture)
    ends = {rule: [each[-1] for each in own] for rule, own in paths.items()}
    for rule, points in ends.items():
        print(f"{rule:12} ends at " + ", ".join(f"{first:+.2f}" for first, _ in points))
    print(f"see {picture}")
    return ends


if __name__ == "__main__":
    main()
