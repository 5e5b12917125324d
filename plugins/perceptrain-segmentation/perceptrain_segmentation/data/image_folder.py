"""A folder of images, and a folder of masks with the same names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from perceptrain import warn_user
from perceptrain.errors import ConfigError, DataError
from perceptrain_segmentation.data.image_file import (
    is_grey,
    list_images,
    opened,
    read_pixels,
    read_values,
)
from perceptrain_segmentation.data.mask_classes import number_classes
from perceptrain_segmentation.data.write_masks import write_masks

_MUCH = 4 * 2**30
_AT_A_TIME = 16


class ImageFolder:
    """The data set ``image_folder``. See `ImageFolder.__call__` for its options."""

    def __call__(
        self,
        images: Path,
        masks: Path,
        size: Sequence[int] | None = None,
        channels: int | None = None,
        classes: Sequence[int | str] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Read all images and their masks into memory.

        Args:
            images: The folder of the images: PNG, JPEG or TIFF, grey (8 or 16 bits) or in colours.
            masks: The folder of the masks; ``cat.jpg`` has the mask ``cat.png``. A value of a mask
                is a grey value, the number of a palette, or a colour.
            size: Height and width to resize to: images by interpolation, masks to the nearest
                pixel. By default, all images have the same size already.
            channels: 1 for grey or 3 for colours; by default 1 if all images are grey.
            classes: The values of the masks in the order of the classes, numbers or ``"#rrggbb"``.
                By default all that occur, sorted: 0 and 255 become 0 and 1.

        Returns:
            Images of shape ``(N, C, H, W)``, float32 from 0 to 1; and masks of shape ``(N, H, W)``,
            int64, with the numbers of the classes. ``N`` follows the sorted names.

        Raises:
            DataError: A mask is missing, sizes differ, or a file cannot be used.
            ConfigError: An option has a wrong value.

        Warns:
            UserWarning: Masks have no image, or the tensors need more than 4 GB of memory.
        """
        resized = _checked_size(size)
        pairs = _pairs(Path(images), Path(masks))
        shape = resized or _common_size(pairs)
        channels = _channels([image for image, _ in pairs], channels)
        _warn_of_memory(len(pairs), channels, *shape)
        pixels = torch.empty(len(pairs), channels, *shape)
        values = torch.empty(len(pairs), *shape, dtype=torch.int64)
        colours = set()
        for row, (image, mask) in enumerate(pairs):
            with opened(image) as file:
                pixels[row] = torch.from_numpy(read_pixels(file, channels, resized).copy())
            with opened(mask) as file:
                colours.add(not is_grey(file) and file.mode != "P")
                values[row] = torch.from_numpy(read_values(file, resized))
        if len(colours) > 1:
            raise DataError(
                f"Some masks in {masks} have colours, others grey values: save all in one way."
            )
        names = [str(mask) for _, mask in pairs]
        return pixels, number_classes(values, colours.pop(), classes, names)

    def read_inputs(
        self,
        source: Path,
        *,
        size: Sequence[int] | None = None,
        channels: int | None = None,
        **_: Any,
    ) -> Iterator[Tensor]:
        """Yield the images of a folder or of one file, ``(n, C, H, W)``, a few at a time.

        Args:
            source: The folder, or the file.
            size: As for the training.
            channels: As for the training; by default those of the images.
            **_: The other options of the training.

        Raises:
            DataError: A file cannot be used.
        """
        resized, files = _checked_size(size), [*list_images(source).values()]
        channels = _channels(files, channels)
        rows: list[Tensor] = []
        for path in files:
            with opened(path) as file:
                row = torch.from_numpy(read_pixels(file, channels, resized).copy())
            if rows and (len(rows) == _AT_A_TIME or row.shape != rows[0].shape):
                yield torch.stack(rows)
                rows = []
            rows.append(row)
        yield torch.stack(rows)

    def write_predictions(self, parts: Iterable[Any], source: Path, out: Path | None) -> int:
        """Write a mask for each image, ``NAME.png`` in a folder, in the size of the image.

        Args:
            parts: The predictions for the images that `read_inputs` yields.
            source: The folder or file that it read.
            out: The folder to write.

        Returns:
            The number of masks.

        Raises:
            DataError: No folder is named, it is that of the images, or it cannot be written.
        """
        return write_masks((part.values for part in parts), source, out)


def _pairs(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    found, given = list_images(images), list_images(masks)
    missing = [path.name for stem, path in found.items() if stem not in given]
    if missing:
        more = f" and {len(missing) - 3} others" if len(missing) > 3 else ""
        raise DataError(
            f"There is no mask in {masks} for {', '.join(missing[:3])}{more}; expected a mask with "
            f"the same name for each image in {images}."
        )
    left = [path.name for stem, path in given.items() if stem not in found]
    if left:
        warn_user(f"{len(left)} masks have no image in {images} and are left out, as {left[0]}.")
    return [(path, given[stem]) for stem, path in found.items()]


def _common_size(pairs: list[tuple[Path, Path]]) -> tuple[int, int]:
    """Return height and width, and raise unless all files have them."""
    first = None
    for path in (path for pair in pairs for path in pair):
        with opened(path) as file:
            width, height = file.size
        first = first or (path, height, width)
        if (height, width) != first[1:]:
            raise DataError(
                f"{path} has {height} x {width} pixels, and {first[0]} has {first[1]} x "
                f"{first[2]}; expected one size. Set size = [HEIGHT, WIDTH] to resize all."
            )
    assert first is not None
    return first[1:]


def _channels(files: Sequence[Path], given: int | None) -> int:
    if given not in (None, 1, 3):
        raise ConfigError(f"channels={given!r}: expected 1 for grey or 3 for colours.")
    if given is not None:
        return given
    for path in files:
        with opened(path) as file:
            if not is_grey(file):
                return 3
    return 1


def _checked_size(size: Sequence[int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    numbers = list(size) if isinstance(size, list | tuple) else []
    if len(numbers) != 2 or any(type(n) is not int or n < 1 for n in numbers):
        raise ConfigError(f"size={size!r}: expected [height, width] in pixels, such as [64, 64].")
    if numbers[0] * numbers[1] > (Image.MAX_IMAGE_PIXELS or numbers[0] * numbers[1]):
        raise ConfigError(f"size={size!r}: expected {Image.MAX_IMAGE_PIXELS} pixels at most.")
    return numbers[0], numbers[1]


def _warn_of_memory(number: int, channels: int, height: int, width: int) -> None:
    needed = number * height * width * (4 * channels + 8)
    if needed > _MUCH:
        warn_user(
            f"{number} images of {height} x {width} pixels need {needed / 2**30:.1f} GB of memory "
            "with their masks: set a smaller size."
        )


image_folder = ImageFolder()
