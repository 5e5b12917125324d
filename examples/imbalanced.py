"""Find the few eights among many other digits, with losses for rare classes."""

import matplotlib.pyplot as plt
import torch
from sklearn.metrics import average_precision_score, precision_recall_curve

from perceptrain import FFNN, TrainConfig, Trainer, get_dataset

LOSSES = {
    "plain": "bce_with_logits",
    "class-balanced": {"name": "bce_with_logits", "pos_weight": [50.0]},  # one eight counts 50
    "focal": {"name": "binary_focal", "gamma": 2, "alpha": 0.9},  # easy images count less
}


def rare_eights():
    """Return training images, 20 of which show an eight, and test images."""
    images, digits = get_dataset("digits")
    labels = (digits == 8).float()[:, None]  # a column of 0 and 1
    order = torch.randperm(len(images))
    train, test = order[:1200], order[1200:]
    eights, others = train[digits[train] == 8], train[digits[train] != 8]
    train = torch.cat([eights[:20], others])
    return (images[train], labels[train]), (images[test], labels[test])


def main(epochs: int = 60, picture: str = "imbalanced.png") -> None:
    """Train with each loss. Draw precision and recall on the test images."""
    plt.style.use("perceptrain_core.pictures")
    torch.manual_seed(0)
    train, (images, labels) = rare_eights()
    figure, axes = plt.subplots()
    for name, loss_fn in LOSSES.items():
        torch.manual_seed(0)
        model = FFNN([64, 32, 1], "relu")
        config = TrainConfig(max_iter=epochs, batch_size=100, verbose=False)
        Trainer(model, {"name": "adamw", "lr": 3e-3}, config, loss_fn).fit(train)

        with torch.no_grad():
            probability = model(images).sigmoid()
        precision, recall, _ = precision_recall_curve(labels[:, 0], probability[:, 0])
        score = average_precision_score(labels[:, 0], probability[:, 0])
        found = (probability > 0.5)[labels == 1].float().mean()
        print(f"{name}: finds {found:.0%} of the eights, average precision {score:.2f}")
        axes.plot(recall, precision, label=f"{name}: average precision {score:.2f}")
    axes.set(xlabel="recall: eights that are found", ylabel="precision: finds that are eights")
    axes.legend(loc="lower left")
    figure.savefig(picture)


if __name__ == "__main__":
    main()
