"""Write predicted masks as PNG files."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from perceptrain.errors import DataError
from perceptrain_segmentation.data.image_file import list_images, opened


def write_masks(maps: Iterable[Tensor], source: Path, out: Path | None) -> int:
    """Write the maps of classes of images, ``NAME.png``, and return their number.

    Each file has a palette: its values are the numbers of the classes, and two classes are shown
    black and white.

    Args:
        maps: For successive images, shape ``(n, H, W)``, int64.
        source: The folder of the images, or an image. A mask gets the size of its image.
        out: The folder to write, which is made if it does not exist.

    Raises:
        DataError: No folder is named, it is that of the images, it cannot be written, or the maps
            are not of classes.
    """
    if out is None:
        raise DataError("Predicted masks are written as PNG files: name a folder with -o.")
    folder = source if source.is_dir() else source.parent
    if out.resolve() == folder.resolve():
        raise DataError(f"{out} is the folder of the images: name another one with -o.")
    images = iter(list_images(source).values())
    written = 0
    try:
        out.mkdir(parents=True, exist_ok=True)
        for classes in (each for part in maps for each in part):
            path = next(images)
            with opened(path) as image:
                _as_image(classes).resize(image.size, Image.Resampling.NEAREST).save(
                    out / f"{path.stem}.png"
                )
            written += 1
    except OSError as error:
        raise DataError(f"{out} cannot be written: {error.strerror}.") from None
    return written


def _as_image(classes: Tensor) -> Image.Image:
    if classes.ndim != 2 or classes.is_floating_point() or classes.max() > 255:
        raise DataError(
            f"The predictions of an image have shape {tuple(classes.shape)} and dtype "
            f"{classes.dtype}; masks need a class for each pixel, 256 classes at most."
        )
    image = Image.fromarray(classes.numpy().astype(np.uint8))
    image.putpalette(_palette(max(int(classes.max()), 1)))
    return image


def _palette(largest: int) -> list[int]:
    """Return black, and white for one other class or else colours that are easy to tell apart."""
    if largest == 1:
        return [0, 0, 0, 255, 255, 255]
    golden = 0.618034
    colours = [colorsys.hsv_to_rgb(k * golden % 1, 0.75, 1.0) for k in range(largest)]
    return [0, 0, 0, *(round(255 * part) for colour in colours for part in colour)]
