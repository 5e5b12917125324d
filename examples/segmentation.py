"""Tell rings from squares in noisy images, pixel by pixel."""

import matplotlib.pyplot as plt
import torch

from perceptrain import TrainConfig, Trainer, get_model
from perceptrain_segmentation import dice_score

SIZE = 32


def shapes(number):
    """Draw images (N, 1, 32, 32) and their classes: 0 ground, 1 ring, 2 square."""
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    images, classes = torch.zeros(number, 1, SIZE, SIZE), torch.zeros(number, 1, SIZE, SIZE).long()
    for image, labels in zip(images, classes, strict=True):
        for kind in (1, 2):
            across, down = torch.randint(6, SIZE - 6, (2,))
            radius, light = torch.randint(5, 9, ()), 0.8 + 0.6 * torch.rand(())
            dx, dy = (x - across).abs() / radius, (y - down).abs() / radius
            inside = (dx**2 + dy**2 - 0.65).abs() < 0.35 if kind == 1 else dx.maximum(dy) < 0.8
            image[0, inside], labels[0, inside] = light, kind
    return images + 0.4 * torch.randn(images.shape), classes


def main(epochs: int = 10, number: int = 300, picture: str = "segmentation.png") -> None:
    """Train a U-Net on a number of images, and test it on 64 new ones."""
    plt.style.use("perceptrain_core.pictures")
    torch.manual_seed(0)
    train, (images, classes) = shapes(number), shapes(64)
    model = get_model("unet", in_channels=1, out_channels=3, features=(8, 16, 32))
    schedule = {"name": "one_cycle", "max_lr": 2e-2}
    config = TrainConfig(max_iter=epochs, batch_size=20, lr_scheduler=schedule, verbose=False)
    Trainer(model, "adam", config, loss_fn="dice_ce").fit(train)

    model.eval()
    with torch.no_grad():
        scores = model(images)
    print(f"Dice score of new images: {dice_score(scores, classes):.2f}")

    figure, panels = plt.subplots(3, 6, figsize=(7, 3.8))
    rows = {"image": images, "truth": classes, "found": scores.argmax(dim=1, keepdim=True)}
    for row, (name, pictures) in zip(panels, rows.items(), strict=True):
        colours = "gray" if name == "image" else "viridis"
        for axes, each in zip(row, pictures, strict=False):
            axes.imshow(each[0].numpy(), cmap=colours)
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(name)
    figure.savefig(picture)


if __name__ == "__main__":
    main()
