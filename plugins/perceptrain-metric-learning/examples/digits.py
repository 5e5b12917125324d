"""Embed handwritten digits on a sphere, and retrieve held-out images by these three numbers.

The multi-similarity loss with its miner (arXiv 1904.06627) trains a small network. The score is the
precision at 1 of held-out images: the fraction whose nearest neighbour is the same digit. The
example takes a few seconds on one core, and needs matplotlib for its picture.
"""

from __future__ import annotations

from pathlib import Path
from time import process_time

import torch
from matplotlib import style
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from torch import Tensor, nn

from perceptrain import FFNN, TrainConfig, Trainer
from perceptrain_metric_learning import precision_at_1

PICTURE = Path("digits.png")
TRAINED = 1000  # of 1797 images


def digits() -> tuple[Tensor, Tensor]:
    """Return the images, of shape ``(1797, 64)``, and their digits, in random order."""
    images, labels = map(torch.as_tensor, load_digits(return_X_y=True))
    order = torch.randperm(len(labels))
    return images[order].float() / 16, labels[order]


def embed(model: nn.Module, images: Tensor) -> Tensor:
    """Return points on the unit sphere, of shape ``(N, 3)``."""
    with torch.no_grad():
        return nn.functional.normalize(model(images), dim=1)


@style.context("perceptrain_core.pictures")
def draw(before: Tensor, after: Tensor, labels: Tensor, titles: list[str], path: Path) -> None:
    """Plot the held-out images on the sphere, before and after training."""
    circle = torch.linspace(0, 2 * torch.pi, 25)
    east, north = torch.meshgrid(circle, circle[:13] - torch.pi / 2, indexing="ij")
    grid = (east.cos() * north.cos(), east.sin() * north.cos(), north.sin())

    figure = Figure(figsize=(11, 5.2))
    for panel, (points, title) in enumerate(zip((before, after), titles, strict=True), 1):
        axes = figure.add_subplot(1, 2, panel, projection="3d")
        axes.plot_wireframe(*(part.numpy() for part in grid), color="0.85", linewidth=0.4, zorder=0)
        for place, digit in zip(points.tolist(), labels.tolist(), strict=True):
            axes.text(*place, str(digit), color=f"C{digit}", fontsize=7, ha="center", va="center")
        axes.set_title(title)
        axes.set_axis_off()
        axes.set_box_aspect((1, 1, 1), zoom=1.65)
        axes.view_init(elev=-10, azim=-50)
    figure.savefig(path)


def main(epochs: int = 40, picture: Path = PICTURE) -> tuple[float, float]:
    """Train and plot. Return the precision at 1 of held-out images before and after training."""
    start = process_time()
    torch.manual_seed(0)
    images, labels = digits()
    train, held_out = (images[:TRAINED], labels[:TRAINED]), (images[TRAINED:], labels[TRAINED:])
    model = FFNN([64, 128, 64, 3], nn.ReLU())
    before = embed(model, held_out[0])

    config = TrainConfig(
        max_iter=epochs,
        batch_size=100,
        print_every=max(1, epochs // 4),
        lr_scheduler={"name": "one_cycle", "max_lr": 5e-3},
    )
    loss_fn = {"name": "multi_similarity", "miner": "multi_similarity"}
    Trainer(model, "adam", config, loss_fn=loss_fn).fit(train)

    after = embed(model, held_out[0])
    scores = precision_at_1(before, held_out[1]), precision_at_1(after, held_out[1])
    titles = [
        f"{when} training: precision at 1 is {score:.3f}"
        for when, score in zip(("before", "after"), scores, strict=True)
    ]
    draw(before, after, held_out[1], titles, picture)
    print(
        f"precision at 1 on held-out images: {scores[0]:.3f} before, {scores[1]:.3f} after, "
        f"in {process_time() - start:.0f} s; see {picture}"
    )
    return scores


if __name__ == "__main__":
    torch.set_num_threads(1)  # a second thread slows down a network this small
    main()
