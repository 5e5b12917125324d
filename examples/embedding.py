"""Learn from the digits 0 to 6 which images are alike, and group digits never seen in training."""

import matplotlib.pyplot as plt
import torch
from torch import nn

from perceptrain import TrainConfig, Trainer, get_dataset, get_metric


def shifted(images):
    """Return each image at a random place of a larger one, of 12 by 12 pixels."""
    larger = torch.zeros(len(images), 1, 12, 12)
    for image, canvas in zip(images, larger, strict=True):
        x, y = torch.randint(0, 5, (2,))
        canvas[0, x : x + 8, y : y + 8] = image.reshape(8, 8)
    return larger


def score(points, labels):
    """Return the mean average precision: 1 if the nearest points always show the same digit."""
    metric = get_metric("map_at_r")
    metric.update(points, labels)
    return metric.compute()


def main(epochs: int = 6, copies: int = 4, picture: str = "embedding.png") -> None:
    """Train on the digits 0 to 6. Draw the digits 7, 8 and 9 by pixels and by the embedding."""
    plt.style.use("perceptrain_core.pictures")
    torch.manual_seed(0)
    images, labels = get_dataset("digits")
    seen, new = labels < 7, labels >= 7
    unseen, digits = shifted(images[new]), labels[new]
    rows = torch.cat([shifted(images[seen]) for _ in range(copies)]), labels[seen].repeat(copies)

    convolutions = [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU()]
    model = nn.Sequential(*convolutions, nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(256, 32))
    config = TrainConfig(max_iter=epochs, batch_size=100, drop_last=True, verbose=False)
    loss_fn = {"name": "supcon", "temperature": 0.1}  # compares all images of a batch
    Trainer(model, {"name": "adamw", "lr": 2e-3}, config, loss_fn).fit(rows)

    embedded = nn.functional.normalize(model(unseen).detach())
    figure, panels = plt.subplots(1, 2)
    for axes, name, points in zip(
        panels, ("pixels", "embedding"), (unseen.flatten(1), embedded), strict=True
    ):
        precision = score(points, digits)
        print(f"{name}: mean average precision {precision:.2f} on the digits 7, 8 and 9")
        axes.set(title=f"{name}: precision {precision:.2f}", xticks=[], yticks=[])
        centred = points - points.mean(dim=0)
        flat = centred @ torch.linalg.svd(centred, full_matrices=False).Vh[:2].T
        for digit in (7, 8, 9):  # the two main directions
            axes.scatter(*flat[digits == digit].T, s=6, label=digit)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", markerscale=3)
    figure.savefig(picture)


if __name__ == "__main__":
    main()
