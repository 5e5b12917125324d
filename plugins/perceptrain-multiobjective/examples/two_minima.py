"""Two functions of two numbers, one ten times as steep: where different rules end.

The first function is least at (-1, 0), the second at (1, 0), so every point between is a best
compromise: the Pareto set. The plain sum goes near the minimum of the steep one, wherever it
starts. The optimizer is plain gradient descent, so that the paths are those of the rules: Adam
would bend them, and carry them past the set.

At the set the gradients are parallel. There ``imtl_g`` divides by next to nothing, and the step of
``aligned_mtl``, as long as the least singular value of the gradients, leaps when that one counts
as zero and the next takes its place. With Adam both, and ``imtl_g`` with more steps, can jump off
the set again: so they do in torchjd.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from perceptrain import TrainConfig, Trainer, WeightedLoss

PICTURE = Path("two_minima.png")
RULES = (None, "mgda", "pcgrad", "imtl_g", "aligned_mtl", "config")
STARTS = ((-1.5, 2.0), (0.0, 2.5), (1.5, 2.0), (-0.5, -2.0), (1.0, -2.5))
STEEP = 10.0


class Point(nn.Module):
    """Two numbers to train."""

    def __init__(self, start: tuple[float, float]) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.tensor(start))

    def forward(self, batch: Tensor) -> Tensor:
        """Give the place."""
        return self.place


def two_functions(batch: Tensor, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """Squared distances from both minima, along axes that are stretched."""
    stretch = torch.tensor([1.0, 0.5])
    place = model(batch)
    terms = {
        "left": (stretch * (place - torch.tensor([-1.0, 0.0]))).square().sum(),
        "right": STEEP * (stretch * (place - torch.tensor([1.0, 0.0]))).square().sum(),
    }
    return terms["left"] + terms["right"], terms


def descend(rule: str | None, start: tuple[float, float], steps: int) -> list[list[float]]:
    """Give the path from a start."""
    model, path, parts = Point(start), [], 20
    loss_fn = two_functions if rule is None else WeightedLoss(two_functions, rule)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03)
    trainer = Trainer(model, optimizer, TrainConfig(max_iter=1, verbose=False), loss_fn)
    for _ in range(parts):
        path.append(model.place.tolist())
        trainer.fit([torch.zeros(1)] * (steps // parts))
    return [*path, model.place.tolist()]


def draw(paths: dict[str, list[list[list[float]]]], path: Path) -> None:
    """Draw the paths of each rule in a panel of its own."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained")
    for axes, (rule, own) in zip(figure.subplots(2, 3).flat, paths.items(), strict=True):
        axes.plot([-1, 1], [0, 0], color="black", linewidth=4, alpha=0.3, label="Pareto set")
        for each in own:
            axes.plot(*zip(*each, strict=True), marker=".", markersize=4, linewidth=1)
        for at, marker, label in ((0, "ws", "start"), (-1, "ko", "end")):
            places = zip(*(each[at] for each in own), strict=True)
            axes.plot(*places, marker, markeredgecolor="black", label=label)
        axes.set(title=rule, xlim=(-2, 2), ylim=(-3, 3), xlabel="first number")
        axes.set(ylabel="second number")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=90)


def main(steps: int = 300, picture: Path = PICTURE) -> dict[str, list[list[float]]]:
    """Give the places where the paths of each rule end."""
    torch.manual_seed(0)
    paths = {
        rule or "plain sum": [descend(rule, start, steps) for start in STARTS] for rule in RULES
    }
    draw(paths, picture)
    ends = {rule: [each[-1] for each in own] for rule, own in paths.items()}
    for rule, places in ends.items():
        print(f"{rule:12} ends at " + ", ".join(f"{first:+.2f}" for first, _ in places))
    print(f"see {picture}")
    return ends


if __name__ == "__main__":
    main()
