"""Train a network to map noise to two moons with the Sinkhorn divergence, in half a minute.

Each step compares 200 outputs of the network with 200 new points of the moons, without pairing
them. Two samples of the moons also have a nonzero distance, which the network approaches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import process_time

import torch
from matplotlib import style
from matplotlib.figure import Figure
from sklearn.datasets import make_moons
from torch import Tensor

from perceptrain import FFNN, TrainConfig, Trainer
from perceptrain_distributions import SinkhornLoss

PICTURE = Path("two_moons.png")
EPOCHS = 20


@dataclass
class Distances:
    """Divergences from the moons: of the network's outputs, and of another sample of the moons."""

    before: float
    after: float
    fresh: float


@dataclass
class NoiseAndMoons:
    """A loader of noise and points of the moons, drawn anew at each step."""

    steps: int
    points: int = 200

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
        return self.steps

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of an epoch."""
        for _ in range(self.steps):
            yield torch.randn(self.points, 2), moons(self.points)


@cache
def all_moons() -> Tensor:
    """Return many points of the moons, shifted and scaled to the square [-1, 1]^2."""
    points, _ = make_moons(50_000, noise=0.05, random_state=0)
    return (torch.tensor(points, dtype=torch.float32) - torch.tensor([0.5, 0.25])) / 1.5


def moons(number: int) -> Tensor:
    """Draw a random sample; scikit-learn itself spaces the points evenly."""
    points = all_moons()
    return points[torch.randint(len(points), (number,))]


@torch.no_grad()
def distance(model: Callable[[Tensor], Tensor] | None = None) -> float:
    """Return the mean distance of 300 points from a sample of the moons, over ten trials.

    Args:
        model: Maps noise to points; None for points of the moons themselves.
    """
    with torch.random.fork_rng():  # leave the random numbers of training unchanged
        torch.manual_seed(1)
        target = moons(3000).view(10, 300, 2)
        cloud = moons(3000).view(10, 300, 2) if model is None else model(torch.randn(10, 300, 2))
    return SinkhornLoss(scaling=0.8).distance(cloud, target).item()


@style.context("perceptrain_core.pictures")
def draw(clouds: dict[str, Tensor], target: Tensor, path: Path) -> None:
    """Plot each cloud over the target."""
    figure = Figure(figsize=(10, 3.3))
    panels = figure.subplots(1, len(clouds), sharex=True, sharey=True)
    for axes, (title, cloud) in zip(panels, clouds.items(), strict=True):
        axes.scatter(*target.T.numpy(), s=4, color="C6", alpha=0.5, label="two moons")
        axes.scatter(*cloud.T.numpy(), s=4, color="C1", label="network")
        axes.set(title=title, aspect="equal", xlabel="first number")
    panels[0].set_ylabel("second number")
    panels[0].legend(loc="upper right", markerscale=3)
    figure.savefig(path)


def main(steps: int = 1000, picture: Path = PICTURE) -> Distances:
    """Train the network and plot its outputs. Return the distances."""
    start = process_time()
    torch.manual_seed(0)
    model = FFNN([2, 128, 128, 128, 2], torch.nn.SiLU())
    noise, target = torch.randn(1000, 2), moons(1000)
    clouds = {"before": model(noise).detach()}
    before = distance(model)
    config = TrainConfig(
        max_iter=EPOCHS, print_every=2, lr_scheduler={"name": "one_cycle", "max_lr": 1e-2}
    )
    trainer = Trainer(model, "adam", config, loss_fn="sinkhorn")
    trainer.fit(NoiseAndMoons(steps // EPOCHS))
    clouds[f"after {steps} steps"] = model(noise).detach()
    draw(clouds, target, picture)
    distances = Distances(before, after=distance(model), fresh=distance())
    print(
        f"sinkhorn {distances.before:.4f} before, {distances.after:.4f} after {steps} steps, "
        f"{distances.fresh:.4f} between two samples of the moons; "
        f"{process_time() - start:.0f} s; see {picture}"
    )
    return distances


if __name__ == "__main__":
    torch.set_num_threads(1)  # a second thread slows down a network this small
    main()
