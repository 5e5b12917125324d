"""The data set image_folder reads files that Pillow wrote."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from perceptrain import get_dataset
from perceptrain.errors import ConfigError, DataError
from perceptrain_segmentation.data.write_masks import write_masks

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 8), dtype=np.uint8)
COLOURS = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)
MASK = RNG.permuted(np.repeat([0, 255], 24)).reshape(6, 8).astype(np.uint8)


def save(path: Path, pixels: Any, mode: str | None = None) -> None:
    path.parent.mkdir(exist_ok=True)
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(path)


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def read(**options: Any) -> Any:
        folders = {"images": tmp_path / "images", "masks": tmp_path / "masks"}
        return get_dataset("image_folder", **{**folders, **options})

    return read


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    save(tmp_path / "images" / "a.png", GREY)
    save(tmp_path / "masks" / "a.png", MASK)
    return tmp_path


def test_pixels_and_classes_are_those_of_the_files(pair: Path, read: Any) -> None:
    images, masks = read()
    assert (images.shape, images.dtype) == ((1, 1, 6, 8), torch.float32)
    assert (masks.shape, masks.dtype) == ((1, 6, 8), torch.int64)
    np.testing.assert_allclose(images[0, 0], GREY / 255.0, rtol=1e-6)
    np.testing.assert_array_equal(masks[0], MASK == 255)


def test_pairs_follow_their_names_and_formats_mix(pair: Path, read: Any) -> None:
    save(pair / "images" / "c.tif", COLOURS)
    save(pair / "images" / "b.JPG", COLOURS)
    save(pair / "masks" / "c.png", 255 - MASK)
    save(pair / "masks" / "b.tiff", MASK // 255 * 128)
    (pair / "images" / "notes.txt").write_text("no image")
    (pair / "images" / ".hidden.png").write_text("no image")
    images, masks = read()
    assert images.shape == (3, 3, 6, 8)
    np.testing.assert_allclose(images[0], np.stack([GREY / 255.0] * 3), rtol=1e-6)
    np.testing.assert_allclose(images[2], COLOURS.transpose(2, 0, 1) / 255.0, rtol=1e-6)
    np.testing.assert_array_equal(masks[0], MASK // 255 * 2)
    np.testing.assert_array_equal(masks[1], MASK // 255)
    np.testing.assert_array_equal(masks[2], (255 - MASK) // 255 * 2)
    assert read(channels=1)[0].shape == (3, 1, 6, 8)


def test_sixteen_bits_and_one_bit(tmp_path: Path, read: Any) -> None:
    deep = RNG.integers(0, 2**16, (6, 8), dtype=np.uint16)
    save(tmp_path / "images" / "a.png", deep)
    save(tmp_path / "masks" / "a.png", MASK, "1")
    images, masks = read()
    np.testing.assert_allclose(images[0, 0], deep / 65535.0, rtol=1e-5)
    np.testing.assert_array_equal(masks[0], MASK // 255)


def test_masks_of_colours_and_palettes(pair: Path, read: Any) -> None:
    red, blue = [255, 0, 0], [0, 0, 255]
    colours = np.where(MASK[..., None] == 255, red, blue).astype(np.uint8)
    save(pair / "masks" / "a.png", colours)
    np.testing.assert_array_equal(read()[1][0], MASK == 255)
    np.testing.assert_array_equal(read(mask_values=["#ff0000", "#0000ff"])[1][0], MASK == 0)
    palette = Image.fromarray(np.where(MASK, 7, 3).astype(np.uint8))
    palette.putpalette(list(range(24)) * 3)
    palette.save(pair / "masks" / "a.png")
    np.testing.assert_array_equal(read()[1][0], MASK == 255)


def test_classes_that_an_option_names(pair: Path, read: Any) -> None:
    np.testing.assert_array_equal(
        read(mask_values=[255, 100, 0])[1][0], np.where(MASK == 255, 0, 2)
    )


def test_sizes_are_changed(pair: Path, read: Any) -> None:
    halves = np.zeros((12, 16), dtype=np.uint8)
    halves[:, 8:] = 200
    save(pair / "images" / "b.png", halves)
    save(pair / "masks" / "b.png", halves)
    with pytest.raises(DataError, match=r"12 x 16 pixels, and .*a.png has 6 x 8; .*Set size"):
        read()
    images, masks = read(size=[6, 8], mask_values=[0, 200, 255])
    assert images.shape == (2, 1, 6, 8)
    np.testing.assert_array_equal(masks[1][:, :4], 0)
    np.testing.assert_array_equal(masks[1][:, 4:], 1)
    assert images[1, 0, :, 0].max() == 0
    np.testing.assert_allclose(images[1, 0, :, 7], 200 / 255)


def bomb(path: Path) -> None:
    """Write the header of an image of 30,000 x 30,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0"))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b""))


def animation(path: Path) -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def truncated(path: Path) -> None:
    save(path, COLOURS)
    path.write_bytes(path.read_bytes()[:90])


FILES: list[tuple[Any, str, str]] = [
    (bomb, "b.png", "more than 89478485 pixels"),
    (animation, "b.tif", "several images"),
    (truncated, "b.png", r"b\.png cannot be read as PNG"),
    (lambda path: path.write_text("words"), "b.png", r"b\.png cannot be read as PNG"),
    (os.mkfifo, "b.png", "not a regular file"),
    (lambda path: path.symlink_to("nowhere.png"), "b.png", r"b\.png cannot be read"),
    (lambda path: save(path, GREY.astype(np.float32)), "b.tif", "floats as pixels"),
    (lambda path: save(path, GREY), "a.jpg", r"a\.jpg and a\.png .* same name"),
]


@pytest.mark.parametrize(("make", "name", "message"), FILES)
def test_files_that_are_refused(pair: Path, read: Any, make: Any, name: str, message: str) -> None:
    make(pair / "images" / name)
    save(pair / "masks" / "b.png", MASK)
    with pytest.raises(DataError, match=message):
        read(size=[6, 8], channels=1)


def test_masks_that_are_refused(pair: Path, read: Any) -> None:
    save(pair / "masks" / "b.png", MASK)
    with pytest.warns(UserWarning, match=r"1 mask has no image .*, as b\.png"):
        read()
    save(pair / "images" / "b.png", GREY)
    save(pair / "masks" / "b.png", COLOURS)
    with pytest.raises(DataError, match="have colours, others grey values"):
        read()
    save(pair / "masks" / "b.png", MASK + 1)
    with pytest.raises(DataError, match=r"b\.png has the value 1, .* classes 0, 255"):
        read(mask_values=[0, 255])
    for name in "ab":
        save(pair / "masks" / f"{name}.png", np.zeros_like(GREY))
    with pytest.raises(DataError, match="All pixels of all masks have the value 0"):
        read()
    (pair / "masks" / "b.png").unlink()
    with pytest.raises(DataError, match=r"no mask in .*masks for b\.png"):
        read()


def test_too_many_values(tmp_path: Path, read: Any) -> None:
    noise = RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for folder in ("images", "masks"):
        save(tmp_path / folder / "a.png", noise)
    with pytest.raises(DataError, match="more than 256 different values"):
        read()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 64}, r"size=64: expected \[height, width\]"),
        ({"size": [0, 64]}, r"size=\[0, 64\]: expected"),
        ({"size": [100_000, 100_000]}, "pixels at most"),
        ({"channels": 2}, "channels=2: expected 1 for grey or 3"),
        ({"mask_values": ["red"]}, "mask_values has 'red'"),
        ({"mask_values": [0, 0]}, "a value occurs twice"),
    ],
)
def test_options_that_are_refused(
    pair: Path, read: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read(**options)


def test_folders_without_images(tmp_path: Path, read: Any) -> None:
    with pytest.raises(DataError, match="images cannot be read: No such file"):
        read()
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="images has no images"):
        read()


def test_much_memory_is_announced(pair: Path, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perceptrain_segmentation.data.image_folder._MUCH", 6 * 8 * 12 - 1)
    with pytest.warns(UserWarning, match="1 images of 6 x 8 pixels need 0.0 GB"):
        read()


def test_written_masks_are_those_read(pair: Path, read: Any) -> None:
    classes = torch.randint(0, 4, (1, 6, 8))
    assert write_masks([classes], pair / "images", pair / "out") == 1
    with Image.open(pair / "out" / "a.png") as image:
        np.testing.assert_array_equal(image, classes[0])
    np.testing.assert_array_equal(read(masks=pair / "out")[1], classes)
    two = (classes[:, ::2, ::2] > 1).long()
    write_masks([two], pair / "images" / "a.png", pair / "out")
    with Image.open(pair / "out" / "a.png") as image:
        grey = np.asarray(image.convert("L"))
    large = two[0].repeat_interleave(2, 0).repeat_interleave(2, 1)
    np.testing.assert_array_equal(grey, 255 * large)
    with pytest.raises(DataError, match="is the folder of the images"):
        write_masks([classes], pair / "images", pair / "images")
    with pytest.raises(DataError, match="name a folder with -o"):
        write_masks([classes], pair / "images", None)
