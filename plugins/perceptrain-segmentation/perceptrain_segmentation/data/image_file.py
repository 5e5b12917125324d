"""Read image files with Pillow: PNG, JPEG and TIFF, one image each."""

from __future__ import annotations

import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from perceptrain.errors import DataError

_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_FORMATS = ("PNG", "JPEG", "TIFF")
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I")


def list_images(folder: Path) -> dict[str, Path]:
    """Return the image files of a folder by the stems of their names, in order.

    Hidden files, subfolders and files of other formats are left out. The path of a file stands for
    itself.

    Raises:
        DataError: The folder cannot be read or has no images, or two images have the same stem.
    """
    if folder.is_file():
        return {folder.stem: folder}
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    except OSError as error:
        raise DataError(f"The folder {folder} cannot be read: {error.strerror}.") from None
    found: dict[str, Path] = {}
    for path in files:
        if path.name.startswith(".") or path.is_dir():
            continue
        if path.stem in found:
            raise DataError(
                f"{found[path.stem].name} and {path.name} in {folder} have the same name up to the "
                "suffix, so their masks cannot be told apart: rename one of them."
            )
        found[path.stem] = path
    if not found:
        raise DataError(f"{folder} has no images: expected files {', '.join(_SUFFIXES)}.")
    return found


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open an image file; pixels are read later.

    Raises:
        DataError: It is not a regular file or not an image, has several frames, or is so large that
            Pillow takes it for a decompression bomb (about 90 million pixels).
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError(f"{path} is not a regular file.")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                if getattr(image, "n_frames", 1) > 1:
                    raise DataError(f"{path} has several images: split it into a file for each.")
                yield image
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise DataError(
            f"{path} has more than {Image.MAX_IMAGE_PIXELS} pixels, and may be a file made to fill "
            "the memory: cut it into tiles."
        ) from None
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} cannot be read as PNG, JPEG or TIFF: {error}.") from None


def is_grey(image: Image.Image) -> bool:
    """Whether an image has no colours."""
    return image.mode in ("1", "L", "LA", *_SIXTEEN_BITS)


def read_pixels(
    image: Image.Image, channels: int, size: tuple[int, int] | None
) -> NDArray[np.float32]:
    """Return the pixels of an image, of shape ``(channels, H, W)``, float32 from 0 to 1.

    Args:
        image: Grey of 8 or 16 bits, or in colours. Transparency is dropped.
        channels: 1 for grey, 3 for red, green and blue.
        size: Height and width to resize to, with bilinear interpolation.

    Raises:
        DataError: The pixels are floats, which have no known scale.
    """
    if image.mode == "F":
        raise DataError(f"{_name(image)} has floats as pixels; expected 8 or 16 bits.")
    if image.mode in _SIXTEEN_BITS:
        grey = Image.fromarray(np.asarray(image).astype(np.float32) / (2**16 - 1))
        pixels = np.asarray(_resized(grey, size, Image.Resampling.BILINEAR))
        return np.repeat(pixels[None].clip(0, 1).astype(np.float32), channels, axis=0)
    plain = image.convert("L" if channels == 1 else "RGB")
    pixels = np.asarray(_resized(plain, size, Image.Resampling.BILINEAR)).astype(np.float32)
    pixels /= 255
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def read_values(image: Image.Image, size: tuple[int, int] | None) -> NDArray[np.int64]:
    """Return the values of a mask, of shape ``(H, W)``.

    A value is a grey value, the number of a colour in the palette, or ``0xRRGGBB``. Black and white
    of one bit are 0 and 1.

    Args:
        image: The mask.
        size: Height and width to resize to; each pixel keeps the value of its nearest neighbour.

    Raises:
        DataError: The pixels are floats.
    """
    if image.mode == "F":
        raise DataError(f"{_name(image)} has floats as pixels; expected a mask of whole numbers.")
    if image.mode in ("1", "L", "P", *_SIXTEEN_BITS):
        return np.asarray(_resized(image, size, Image.Resampling.NEAREST)).astype(np.int64)
    plain = image.convert("L" if image.mode == "LA" else "RGB")
    values = np.asarray(_resized(plain, size, Image.Resampling.NEAREST)).astype(np.int64)
    return values if values.ndim == 2 else values @ np.array([1 << 16, 1 << 8, 1])


def _resized(
    image: Image.Image, size: tuple[int, int] | None, method: Image.Resampling
) -> Image.Image:
    return image if size is None else image.resize((size[1], size[0]), method)


def _name(image: Image.Image) -> str:
    return str(getattr(image, "filename", "An image"))
