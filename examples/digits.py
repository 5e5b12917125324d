"""Classify handwritten digits, and look at the ones that the network gets wrong."""

import matplotlib.pyplot as plt
import torch

from perceptrain import FFNN, TrainConfig, Trainer, get_dataset


def draw(images, labels, guesses, picture):
    """Show images with their label, and what the network takes them for."""
    figure, panels = plt.subplots(2, 6, figsize=(7, 3))
    for axes in panels.flat:
        axes.set_axis_off()
    for axes, image, label, guess in zip(panels.flat, images, labels, guesses, strict=False):
        axes.imshow(image.reshape(8, 8).numpy(), cmap="gray_r")
        axes.set_title(f"{label}, taken for {guess}", loc="center")
    figure.savefig(picture)


def main(epochs: int = 30, picture: str = "digits.png") -> None:
    """Train on 1,400 images, and test on the other 397."""
    plt.style.use("perceptrain_core.pictures")
    torch.manual_seed(0)

    images, labels = get_dataset("digits")  # images (1797, 64), labels (1797,)
    order = torch.randperm(len(labels))
    train, test = order[:1400], order[1400:]

    model = FFNN([64, 128, 10], "relu")
    config = TrainConfig(max_iter=epochs, batch_size=64, verbose=False)
    trainer = Trainer(model, {"name": "adamw", "lr": 2e-3}, config, loss_fn="cross_entropy")
    trainer.fit((images[train], labels[train]))

    with torch.no_grad():
        guesses = model(images[test]).argmax(dim=1)
    wrong = guesses != labels[test]
    print(f"{wrong.sum()} of {len(test)} test images are wrong")
    draw(images[test][wrong], labels[test][wrong], guesses[wrong], picture)


if __name__ == "__main__":
    main()
