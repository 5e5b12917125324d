"""Learn distances between digits from 0 to 4, and group digits that training never saw."""

import matplotlib.pyplot as plt
import torch

from perceptrain import FFNN, TrainConfig, Trainer, get_dataset, get_metric


def flat(points):
    """Return the two main directions of the points, to draw them."""
    points = points - points.mean(dim=0)
    return points @ torch.linalg.svd(points, full_matrices=False).Vh[:2].T


def score(points, labels):
    """Return the mean average precision: 1 if the nearest points always show the same digit."""
    metric = get_metric("map_at_r")
    metric.update(points, labels)
    return metric.compute()


def main(epochs: int = 30, picture: str = "embedding.png") -> None:
    """Train on the digits 0 to 4. Draw the digits 5 to 9 before and after."""
    plt.style.use("perceptrain_core.pictures")
    torch.manual_seed(0)
    images, labels = get_dataset("digits")
    seen = labels < 5
    unseen, digits = images[~seen], labels[~seen]

    # The loss compares the images of a batch: those of the same digit come closer.
    model = FFNN([64, 128, 16], "relu")
    loss_fn = {"name": "supcon", "temperature": 0.1}
    config = TrainConfig(max_iter=epochs, batch_size=100, verbose=False)
    trainer = Trainer(model, {"name": "adamw", "lr": 1e-3}, config, loss_fn)
    trainer.fit((images[seen], labels[seen]))

    with torch.no_grad():
        embedded = torch.nn.functional.normalize(model(unseen))
    figure, panels = plt.subplots(1, 2)
    for axes, name, points in zip(panels, ("pixels", "embedding"), (unseen, embedded), strict=True):
        precision = score(points, digits)
        print(f"{name}: mean average precision {precision:.2f} on unseen digits")
        axes.set(title=f"{name}: precision {precision:.2f}", xticks=[], yticks=[])
        for digit in range(5, 10):
            axes.scatter(*flat(points)[digits == digit].T, s=5, label=digit)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", markerscale=3)
    figure.savefig(picture)


if __name__ == "__main__":
    main()
