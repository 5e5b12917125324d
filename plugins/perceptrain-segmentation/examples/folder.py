"""Train a U-Net on a folder of images from a run file, and write masks of new images.

The images are made here: discs and squares in colours, on a dark and noisy ground.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image, ImageDraw

from perceptrain import load_run

RUN = """\
[model]
name = "unet"

[loss]
name = "dice_ce"

[optimizer]
name = "adam"
lr = 5e-3

[data]
name = "image_folder"
images = "images"
masks = "masks"
val_fraction = 0.2
test_fraction = 0.2

[metrics]
mean_dice = {}
mean_iou = {}

[train]
max_iter = EPOCHS
batch_size = 16
seed = 0
lr_scheduler = {name = "one_cycle", max_lr = 2e-2}
"""


def draw(folder: Path, number: int, seed: int, size: int = 48) -> None:
    """Write images of shapes, and masks with 0 for the ground, 1 for discs and 2 for squares."""
    rng = np.random.default_rng(seed)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for row in range(number):
        image = Image.new("RGB", (size, size), tuple(rng.integers(0, 80, 3).tolist()))
        mask = Image.new("L", (size, size))
        for kind in rng.integers(1, 3, 3).tolist():
            left, top = rng.integers(0, size - 16, 2).tolist()
            side = int(rng.integers(10, 18))
            colour = tuple(rng.integers(110, 256, 3).tolist())
            for canvas, fill in ((image, colour), (mask, kind)):
                pen = ImageDraw.Draw(canvas)
                shape = pen.ellipse if kind == 1 else pen.rectangle
                shape((left, top, left + side, top + side), fill=fill)
        noisy = np.asarray(image) + rng.normal(0, 20, (size, size, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"images/{row:03}.png")
        mask.save(folder / f"masks/{row:03}.png")


def main(folder: Path = Path("shapes"), number: int = 400, epochs: int = 15) -> float:
    """Train and write masks of new images; return the mean Dice score of the test images."""
    draw(folder, number, seed=0)
    draw(folder / "new", 8, seed=1)
    (folder / "run.toml").write_text(RUN.replace("EPOCHS", str(epochs)))
    start = perf_counter()
    train = [sys.executable, "-m", "perceptrain", "train", "run.toml"]
    # A second thread slows down a network this small.
    subprocess.run(train, cwd=folder, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    seconds = perf_counter() - start
    run = load_run(folder / "runs" / "run")
    run.write_predictions(folder / "new" / "images", folder / "new" / "predicted")
    score = run.test()["test_mean_dice"]
    print(f"Mean Dice of the test images: {score:.2f} after {seconds:.0f} s")
    print(f"Masks of new images are in {folder / 'new' / 'predicted'}")
    return score


if __name__ == "__main__":
    main()
