"""Teach a network to write: it moves random points to the ink of a handwritten digit."""

import matplotlib.pyplot as plt
import torch

from perceptrain import FFNN, TrainConfig, Trainer, get_dataset

POINTS = 200


class NoiseAndInk:
    """Batches without end: random points, and points of the ink. They are not paired."""

    infinite = True

    def __init__(self):
        images, _ = get_dataset("digits")
        image = images[2].reshape(1, 1, 8, 8)  # a two
        self.ink = torch.nn.functional.interpolate(image, (64, 64), mode="bicubic")[0, 0].clamp(0)

    def draw(self, number):
        """Draw points of the ink, in the square from -1 to 1; dark pixels are likelier."""
        pixels = torch.multinomial(self.ink.flatten() ** 2, number, replacement=True)
        corners = torch.stack([pixels % 64, 63 - pixels // 64], dim=1)
        return (corners + torch.rand(number, 2)) / 32 - 1

    def __iter__(self):
        """Yield batches."""
        while True:
            yield torch.randn(POINTS, 2), self.draw(POINTS)


def main(steps: int = 600, picture: str = "point_clouds.png") -> None:
    """Train with the Sinkhorn divergence, a distance between clouds of points."""
    plt.style.use("perceptrain_core.pictures")
    torch.manual_seed(0)
    data = NoiseAndInk()
    model = FFNN([2, 128, 128, 128, 2], "silu")
    schedule = {"name": "one_cycle", "max_lr": 1e-2}
    config = TrainConfig(max_iter=steps, lr_scheduler=schedule, verbose=False)
    trainer = Trainer(model, "adam", config, loss_fn="sinkhorn")

    noise = torch.randn(1500, 2)
    trainer.fit(data)
    clouds = {"random points": noise, "network": model(noise).detach(), "ink": data.draw(1500)}
    first, last = trainer.history[0]["train_loss"], trainer.history[-1]["train_loss"]
    print(f"Sinkhorn divergence: {first:.3f} at first, {last:.4f} at last")

    figure, panels = plt.subplots(1, 3, figsize=(7, 2.7), sharex=True, sharey=True)
    for axes, (name, cloud) in zip(panels, clouds.items(), strict=True):
        axes.scatter(*cloud.T, s=2, color="C1" if name == "ink" else "C0")
        axes.set(title=name, xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal")
        axes.set(xticks=[], yticks=[])
    figure.savefig(picture)


if __name__ == "__main__":
    main()
