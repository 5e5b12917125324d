"""A run file on a folder of images: train, test, predict."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor
from typer.testing import CliRunner

from perceptrain import load_run
from perceptrain.errors import ShapeError
from perceptrain_core.cli.main import app

RUN = """
model = {name = "unet", features = [8, 16]}
loss = "dice_ce"
optimizer = {name = "adam", lr = 2e-2}
[data]
name = "image_folder"
images = "pictures/images"
masks = "pictures/masks"
test_fraction = 0.25
[metrics]
mean_dice = {}
mean_iou = {}
[train]
max_iter = 8
batch_size = 8
seed = 0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright discs in colours, on a dark ground, with their masks; and a trained run of them."""
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / "pictures" / part).mkdir(parents=True)
    for number in range(32):
        x, y = rng.integers(1, 12, 2).tolist()
        image, mask = Image.new("RGB", (20, 18), (40, 30, 20)), Image.new("L", (20, 18))
        ImageDraw.Draw(image).ellipse((x, y, x + 6, y + 6), fill=(200, 90, 120))
        ImageDraw.Draw(mask).ellipse((x, y, x + 6, y + 6), fill=255)
        image.save(folder / "pictures" / "images" / f"{number:02}.png")
        mask.save(folder / "pictures" / "masks" / f"{number:02}.png")
    (folder / "discs.toml").write_text(RUN)
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = CliRunner().invoke(app, ["train", "discs.toml"], catch_exceptions=False)
    assert "Segmentation into 2 classes, of images of shape 3 x 18 x 20." in result.output
    return folder / "runs" / "discs"


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


def pictures(folder: Path) -> tuple[Tensor, Tensor]:
    """Read images and masks again, without the data set."""
    files = sorted((folder / "pictures" / "images").iterdir())
    images = np.stack([pixels(file) for file in files]).transpose(0, 3, 1, 2) / 255
    masks = np.stack([pixels(folder / "pictures" / "masks" / f.name) for f in files])
    return torch.tensor(images, dtype=torch.float32), torch.tensor(masks == 255)


def dice(predicted: Tensor, truth: Tensor) -> float:
    scores = [
        2 * (p & t).sum() / (p.sum() + t.sum()) for p, t in zip(predicted, truth, strict=True)
    ]
    return float(sum(scores) / len(scores))


@pytest.mark.slow
def test_a_run_predicts_maps_and_probabilities(folder: Path, run: Path) -> None:
    images, masks = pictures(folder)
    found = load_run(run).predict(images)
    assert (found.values.shape, found.values.dtype) == ((32, 18, 20), torch.int64)
    assert found.probabilities is not None
    assert found.probabilities.shape == (32, 2, 18, 20)
    torch.testing.assert_close(found.probabilities.sum(1), torch.ones(32, 18, 20))
    assert torch.equal(found.probabilities.argmax(1), found.values)
    assert found.classes == (0, 1)
    assert dice(found.values == 1, masks) > 0.9


def test_the_figures_are_those_by_hand(folder: Path, run: Path) -> None:
    trained = load_run(run)
    images, masks = pictures(folder)
    values = trained.predict(images).values
    figures = trained.test((images, masks.long()))
    assert figures["test_mean_dice"] == pytest.approx(dice(values == 1, masks), abs=1e-6)
    hits = [((values == k) & (masks.long() == k)).sum() for k in (0, 1)]
    union = [((values == k) | (masks.long() == k)).sum() for k in (0, 1)]
    iou = sum(float(h / u) for h, u in zip(hits, union, strict=True)) / 2
    assert figures["test_mean_iou"] == pytest.approx(iou, abs=1e-6)


def test_the_folder_finds_the_images_again_when_all_is_moved(
    folder: Path, run: Path, tmp_path: Path
) -> None:
    then = load_run(run).test()
    shutil.copytree(folder, tmp_path / "moved")
    text = (tmp_path / "moved" / "runs" / "discs" / "run.toml").read_text()
    assert 'images = "../../pictures/images"' in text
    assert "in_channels = 3\nout_channels = 2\n" in text
    moved = load_run(tmp_path / "moved" / "runs" / "discs")
    assert moved.test() == then
    assert moved.rows().splits.train[0].shape == (24, 3, 18, 20)


def test_a_folder_of_images_becomes_one_of_masks(folder: Path, run: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    for name in ("00.png", "01.png"):
        shutil.copy(folder / "pictures" / "images" / name, new / name)
    Image.new("RGB", (9, 7)).save(new / "small.png")
    command = ["predict", str(run), str(new), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.output == f"3 rows are in {tmp_path / 'out'}\n"
    trained = load_run(run)
    expected = trained.predict(pictures(folder)[0][:2]).values
    for row, name in enumerate(("00.png", "01.png")):
        np.testing.assert_array_equal(pixels(tmp_path / "out" / name), expected[row])
    assert pixels(tmp_path / "out" / "small.png").shape == (7, 9)
    assert torch.equal(trained.predict(new / "00.png").values, expected[:1])
    with pytest.raises(ShapeError, match="use predict_in_batches"):
        trained.predict(new)


@pytest.mark.slow
def test_one_channel_and_a_sigmoid(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    options = ["model.out_channels=1", "train.log_folder=one", "train.max_iter=6"]
    sets = [argument for option in options for argument in ("--set", option)]
    CliRunner().invoke(app, ["train", "discs.toml", *sets], catch_exceptions=False)
    images, masks = pictures(folder)
    found = load_run(folder / "runs" / "one").predict(images)
    assert found.values.shape == (32, 18, 20)
    assert found.probabilities is not None
    assert found.probabilities.shape == (32, 2, 18, 20)
    assert torch.equal(found.probabilities[:, 1] > 0.5, found.values == 1)
    assert dice(found.values == 1, masks) > 0.8
