"""A network that turns noise into two moons, by the Sinkhorn divergence, in half a minute.

Each step compares 200 points of the network with 200 new points of the moons; none belongs to any
other. Two samples of the moons themselves have a distance too, which the network comes near to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import process_time

import torch
from sklearn.datasets import make_moons
from torch import Tensor

from perceptrain import FFNN, TrainConfig, Trainer
from perceptrain_distributions import SinkhornLoss

PICTURE = Path("two_moons.png")
EPOCHS = 20


@dataclass
class Distances:
    """Divergences from the moons, of the network's points and of fresh ones of the moons."""

    before: float
    after: float
    fresh: float


@dataclass
class NoiseAndMoons:
    """Batches of noise and of moons, new ones at each step."""

    steps: int
    points: int = 200

    def __len__(self) -> int:
        """Give the number of batches in an epoch."""
        return self.steps

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Give the batches of an epoch."""
        for _ in range(self.steps):
            yield torch.randn(self.points, 2), moons(self.points)


@cache
def all_moons() -> Tensor:
    """Give many points of the moons, shifted and scaled into the square from -1 to 1."""
    points, _ = make_moons(50_000, noise=0.05, random_state=0)
    return (torch.tensor(points, dtype=torch.float32) - torch.tensor([0.5, 0.25])) / 1.5


def moons(number: int) -> Tensor:
    """Draw some of them; scikit-learn alone spaces them evenly, as no independent sample is."""
    points = all_moons()
    return points[torch.randint(len(points), (number,))]


@torch.no_grad()
def distance(model: Callable[[Tensor], Tensor] | None = None) -> float:
    """Give the mean distance, in ten trials, of 300 points from others of the moons.

    Args:
        model: It makes the points of noise; None for points of the moons themselves.
    """
    with torch.random.fork_rng():  # training draws the same numbers, whatever is measured
        torch.manual_seed(1)
        target = moons(3000).view(10, 300, 2)
        cloud = moons(3000).view(10, 300, 2) if model is None else model(torch.randn(10, 300, 2))
    return SinkhornLoss(scaling=0.8).distance(cloud, target).item()


def draw(clouds: dict[str, Tensor], target: Tensor, path: Path) -> None:
    """Draw each cloud over the target."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3), layout="constrained")
    axes = figure.subplots(1, len(clouds), sharex=True, sharey=True)
    for place, (title, cloud) in zip(axes, clouds.items(), strict=True):
        place.scatter(*target.T.numpy(), s=4, color="0.75", label="two moons")
        place.scatter(*cloud.T.numpy(), s=4, color="tab:red", label="network")
        place.set(title=title, aspect="equal")
    axes[0].legend(loc="upper right")
    figure.savefig(path, dpi=110)


def main(steps: int = 1000, picture: Path = PICTURE) -> Distances:
    """Train the network, draw it, and give the distances."""
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
    found = Distances(before, after=distance(model), fresh=distance())
    print(
        f"sinkhorn {found.before:.4f} before, {found.after:.4f} after {steps} steps, "
        f"{found.fresh:.4f} between two samples of the moons; "
        f"{process_time() - start:.0f} s; see {picture}"
    )
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)  # a network this small waits for a second thread more than it gains
    main()
