"""Train a small U-Net to segment ellipses and rectangles in noisy images, in half a minute.

There are three classes: background, ellipse and rectangle. The shapes overlap and have random
brightness, and the noise is strong, so a pixel can only be classified from its surroundings.
"""

from __future__ import annotations

from pathlib import Path
from time import process_time

import torch
from matplotlib import style
from matplotlib.figure import Figure
from torch import Tensor, nn

from perceptrain import TrainConfig, Trainer
from perceptrain_segmentation import dice_score

PICTURE = Path("shapes.png")
SIZE = 48


def shapes(images: int) -> tuple[Tensor, Tensor]:
    """Generate images ``(N, 1, 48, 48)`` and labels ``(N, 1, 48, 48)``, which are class indices."""
    line = torch.arange(SIZE, dtype=torch.float32)
    y, x = torch.meshgrid(line, line, indexing="ij")
    labels = torch.zeros(images, SIZE, SIZE, dtype=torch.long)
    pictures = torch.zeros(images, SIZE, SIZE)
    for picture, label in zip(pictures, labels, strict=True):
        for kind in torch.randint(1, 3, (3,)).tolist():
            center, radius = 8 + 32 * torch.rand(2), 6 + 6 * torch.rand(2)
            across, down = (x - center[0]) / radius[0], (y - center[1]) / radius[1]
            inside = across**2 + down**2 < 1 if kind == 1 else across.abs().max(down.abs()) < 0.9
            picture[inside] = 0.6 + 0.8 * torch.rand(())
            label[inside] = kind
    noisy = pictures + 0.4 * torch.randn_like(pictures)
    return noisy.unsqueeze(1), labels.unsqueeze(1)


def block(inputs: int, outputs: int) -> nn.Sequential:
    """Return two convolutions with batch normalization."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """A U-Net with two downsampling steps and skip connections (arXiv 1505.04597)."""

    def __init__(self, classes: int, width: int = 8) -> None:
        super().__init__()
        self.down = nn.ModuleList([block(1, width), block(width, 2 * width)])
        self.bottom = block(2 * width, 4 * width)
        self.up = nn.ModuleList([block(6 * width, 2 * width), block(3 * width, width)])
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of shape ``(N, classes, H, W)``."""
        skips: list[Tensor] = []
        for part in self.down:
            skips.append(part(x))
            x = nn.functional.max_pool2d(skips[-1], 2)
        x = self.bottom(x)
        for part in self.up:
            wide = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = part(torch.cat([wide, skips.pop()], dim=1))
        return self.head(x)


def score(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the mean Dice score of ellipses and rectangles, in evaluation mode."""
    with torch.no_grad():
        return dice_score(model.eval()(images), labels).item()


@style.context("perceptrain_core.pictures")
def draw(model: nn.Module, images: Tensor, labels: Tensor, path: Path) -> None:
    """Plot images, true masks and predicted masks in rows, with one column per image."""
    with torch.no_grad():
        predictions = model.eval()(images).argmax(1)
    figure = Figure(figsize=(1.9 * len(images), 6))
    rows = figure.subplots(3, len(images), squeeze=False)
    for column, image, truth, guess in zip(rows.T, images, labels, predictions, strict=True):
        column[0].imshow(image[0].numpy(), cmap="gray")
        column[1].imshow(truth[0].numpy(), vmin=0, vmax=2)
        column[2].imshow(guess.numpy(), vmin=0, vmax=2)
        for axes in column:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            axes.grid(False)
    for axes, title in zip(rows[:, 0], ("image", "truth", "prediction"), strict=True):
        axes.set_ylabel(title)
    figure.savefig(path)


def main(epochs: int = 12, images: int = 400, picture: Path = PICTURE) -> tuple[float, float]:
    """Train and plot. Return the Dice score of unseen images before and after training."""
    start = process_time()
    torch.manual_seed(0)
    train, unseen = shapes(images), shapes(64)
    model = UNet(classes=3)
    before = score(model, *unseen)
    config = TrainConfig(
        max_iter=epochs,
        batch_size=16,
        print_every=2,
        lr_scheduler={"name": "one_cycle", "max_lr": 1e-2},
    )
    Trainer(model, "adam", config, loss_fn="dice_ce").fit(train)
    after = score(model, *unseen)
    draw(model, *(part[:6] for part in unseen), picture)
    print(
        f"Dice score of 64 unseen images: {before:.2f} before, {after:.2f} after "
        f"{process_time() - start:.0f} s; see {picture}"
    )
    return before, after


if __name__ == "__main__":
    torch.set_num_threads(1)  # a second thread slows down a network this small
    main()
