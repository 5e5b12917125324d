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
from perceptrain_segmentation.data.mask_classes import (
    as_values,
    number_classes,
    occurring_values,
    written_values,
)
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
        mask_values: Sequence[int | str] | None = None,
        ignore_index: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Read all images and their masks into memory.

        Args:
            images: The folder of the images: PNG, JPEG or TIFF, grey (8 or 16 bits) or in colours.
            masks: The folder of the masks; ``cat.jpg`` has the mask ``cat.png``. A value of a mask
                is a grey value, the number of a palette, or a colour.
            size: Height and width to resize to: images by interpolation, masks to the nearest
                pixel. By default, all images have the same size already.
            channels: 1 for grey or 3 for colours; by default 1 if all images are grey.
            mask_values: The values of the masks in the order of the classes, numbers or
                ``"#rrggbb"``. By default all that occur, sorted: 0 and 255 become 0 and 1.
            ignore_index: A value of the masks that is not a class, such as 255 for pixels without a
                label. It stays as it is; the loss and the metrics must ignore it.

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
        _warn_of_unused(Path(masks), {mask for _, mask in pairs}, Path(images))
        shape = resized or _common_size(pairs)
        channels = _channels([image for image, _ in pairs], channels)
        _warn_of_memory(len(pairs), channels, *shape)
        pixels = torch.empty(len(pairs), channels, *shape)
        values = torch.empty(len(pairs), *shape, dtype=torch.int64)
        for row, (image, _) in enumerate(pairs):
            with opened(image) as file:
                pixels[row] = torch.from_numpy(read_pixels(file, channels, resized).copy())
        files = [mask for _, mask in pairs]
        colours = _have_colours(files)
        for row, mask in enumerate(_masks(files, resized)):
            values[row] = mask
        if mask_values is None:
            known = occurring_values(values, ignore_index, colours)
        else:
            known = as_values(mask_values)
        names = [str(file) for file in files]
        return pixels, number_classes(values, known, ignore_index, colours, names)

    def complete_options(
        self,
        images: Path,
        masks: Path,
        size: Sequence[int] | None = None,
        channels: int | None = None,
        mask_values: Sequence[int | str] | None = None,
        ignore_index: int | None = None,
    ) -> dict[str, Any]:
        """Return the options that follow from the files: ``channels`` and ``mask_values``.

        With them, other folders are read as this one, even if they lack a class or all colours.

        Args:
            images: As for the training.
            masks: As for the training.
            size: As for the training.
            channels: As for the training.
            mask_values: As for the training.
            ignore_index: As for the training.

        Raises:
            DataError: A mask is missing, or a file cannot be used.
            ConfigError: An option has a wrong value.
        """
        resized = _checked_size(size)
        pairs = _pairs(Path(images), Path(masks))
        found = {"channels": _channels([image for image, _ in pairs], channels)}
        if mask_values is not None:
            return {**found, "mask_values": list(mask_values)}
        files = [mask for _, mask in pairs]
        colours = _have_colours(files)
        known = occurring_values(_masks(files, resized), ignore_index, colours)
        return {**found, "mask_values": written_values(known, colours)}

    def read_labelled(
        self, source: Path, *, images: Path, masks: Path, **options: Any
    ) -> tuple[Tensor, Tensor]:
        """Read a folder that has a subfolder of images and one of masks.

        Args:
            source: The folder. Its subfolders are called as in the training, or ``images`` and
                ``masks``.
            images: The folder of the images of the training.
            masks: The folder of their masks.
            **options: The other options of the training.

        Returns:
            The images and the masks, see `__call__`.

        Raises:
            DataError: The folder has no such subfolders, or a file cannot be used.
        """
        for names in ((Path(images).name, Path(masks).name), ("images", "masks")):
            here, there = (source / name for name in names)
            if here != there and here.is_dir() and there.is_dir():
                return self(here, there, **options)
        raise DataError(
            f"{source} has no subfolders images and masks: expected the images in one, and masks "
            "with the same names in the other."
        )

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
    return [(path, given[stem]) for stem, path in found.items()]


def _warn_of_unused(masks: Path, used: set[Path], images: Path) -> None:
    left = [path.name for path in list_images(masks).values() if path not in used]
    if left:
        are = "mask has no image" if len(left) == 1 else "masks have no image"
        gone = "is" if len(left) == 1 else "are"
        warn_user(f"{len(left)} {are} in {images} and {gone} left out, as {left[0]}.")


def _masks(files: Sequence[Path], size: tuple[int, int] | None) -> Iterator[Tensor]:
    for path in files:
        with opened(path) as file:
            yield torch.from_numpy(read_values(file, size))


def _have_colours(masks: Sequence[Path]) -> bool:
    """Whether masks have colours, not grey values or numbers of a palette."""
    found = set()
    for path in masks:
        with opened(path) as file:
            found.add(not is_grey(file) and file.mode != "P")
    if len(found) > 1:
        raise DataError(
            f"Some masks in {masks[0].parent} have colours, others grey values: save all in one "
            "way."
        )
    return found.pop()


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
