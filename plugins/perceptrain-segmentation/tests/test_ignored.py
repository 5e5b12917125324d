"""Masks with pixels that do not count, in run files: figures by hand in NumPy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from perceptrain import load_run
from perceptrain_core.cli.main import app
from perceptrain_core.data.files.splits import split_indices

VALUES = (0, 100, 200)
IGNORED = 255
RUN = """
model = {name = "unet", features = [8, 16]}
loss = "dice"
optimizer = {name = "adam", lr = 2e-2}
[data]
name = "image_folder"
images = "pictures/images"
masks = "pictures/masks"
ignore_index = 255
test_fraction = 0.25
[metrics]
mean_dice = {}
mean_iou = {}
[train]
max_iter = 4
batch_size = 8
seed = 0
"""


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def draw(folder: Path, name: str, rng: np.random.Generator, values: tuple[int, ...]) -> None:
    """Draw a square for each value above 0, with an unlabelled frame around the picture."""
    image = np.full((16, 16), 30, dtype=np.uint8)
    mask = np.zeros((16, 16), dtype=np.uint8)
    for value in values:
        y, x = rng.integers(2, 9, 2)
        image[y : y + 5, x : x + 5] = 40 + value
        mask[y : y + 5, x : x + 5] = value
    mask[[0, -1]], mask[:, [0, -1]] = IGNORED, IGNORED
    for part, pixels in (("images", image), ("masks", mask)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / part / name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ignored")
    rng = np.random.default_rng(0)
    for number in range(24):
        draw(folder / "pictures", f"{number:02}.png", rng, (100, 200))
    (folder / "squares.toml").write_text(RUN)
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = invoke("train", "squares.toml")
    assert "Segmentation into 3 classes, of images of shape 1 x 16 x 16." in result.output
    return folder / "runs" / "squares"


def read(folder: Path, part: str) -> NDArray[np.uint8]:
    files = sorted((folder / part).iterdir())
    return np.stack([np.asarray(Image.open(file)) for file in files])


def by_hand(run: Path, folder: Path) -> dict[str, float]:
    """Loss, mean Dice and mean IoU from the grey values of the masks."""
    images, masks = read(folder, "images")[:, None] / 255, read(folder, "masks")
    found = load_run(run).predict(images.astype(np.float32))
    assert found.probabilities is not None
    chances, counted = found.probabilities.numpy().astype(np.float64), masks != IGNORED
    losses, scores, both, either = [], [], np.zeros(3), np.zeros(3)
    for number, value in enumerate(VALUES):
        truth = masks == value
        predicted = (found.values.numpy() == number) & counted
        chance = chances[:, number] * counted
        overlap = 2 * (chance * truth).sum((1, 2)) + 1e-5
        losses.append(1 - overlap / ((chance + truth).sum((1, 2)) + 1e-5))
        both[number] = (predicted & truth).sum()
        either[number] = (predicted | truth).sum()
        for p, t in zip(predicted, truth, strict=True):
            if number and t.any():
                scores.append(2 * (p & t).sum() / (p.sum() + t.sum()))
    seen = either > 0
    return {
        "test_loss": float(np.mean(losses)),
        "test_mean_dice": float(np.mean(scores)),
        "test_mean_iou": float((both[seen] / either[seen]).mean()),
    }


def test_the_run_keeps_what_its_data_decide(run: Path) -> None:
    text = (run / "run.toml").read_text()
    assert "out_channels = 3\n" in text
    assert text.count("ignore_index = 255\n") == 4
    assert "mask_values = [\n    0,\n    100,\n    200,\n]" in text
    assert load_run(run).classes == (0, 1, 2)


def test_the_figures_of_a_folder_are_those_of_the_training(
    folder: Path, run: Path, tmp_path: Path
) -> None:
    for row in split_indices(24, 0.0, 0.25, 0)[2].tolist():
        for part in ("images", "masks"):
            (tmp_path / part).mkdir(exist_ok=True)
            shutil.copy(folder / "pictures" / part / f"{row:02}.png", tmp_path / part)
    result = invoke("test", str(run), str(tmp_path), "--json")
    found, trained = json.loads(result.output), json.loads((run / "test.json").read_text())
    assert found == pytest.approx(trained, abs=1e-6)
    expected = by_hand(run, tmp_path)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-5)


def test_a_folder_without_one_of_the_classes(run: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for number in range(4):
        draw(tmp_path, f"{number}.png", rng, (200,))
    found = load_run(run).test(tmp_path)
    expected = by_hand(run, tmp_path)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-5)
    draw(tmp_path, "0.png", rng, (150,))
    assert "has the value 150" in invoke("test", str(run), str(tmp_path)).output


def test_a_folder_without_masks(run: Path, folder: Path) -> None:
    result = invoke("test", str(run), str(folder / "pictures" / "images"))
    assert "has no subfolders images and masks" in result.output


def test_a_loss_inside_another_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    inner = 'loss={name="deep_supervision", loss={name="focal", use_softmax=true}}'
    result = invoke("train", "squares.toml", "--set", inner, "--set", 'train.log_folder="deep"')
    assert result.exit_code == 0, result.output
    assert (
        'name = "focal"\nuse_softmax = true\nignore_index = 255\n'
        in (folder / "runs" / "deep" / "run.toml").read_text()
    )


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            'loss="dice_ce"',
            "[loss]: dice_ce has no option ignore_index, and [data] has ignore_index = 255: its "
            "labels 255 would count as a class. Use a loss that has this option, such as dice, "
            "focal, tversky.",
        ),
        (
            "loss.ignore_index=254",
            "[loss]: dice has ignore_index = 254, and [data] has ignore_index = 255: leave it out",
        ),
        ("metrics.rmse={}", "[metrics]: rmse has no option ignore_index"),
        (
            "data.mask_values=[0, 100, 200, 255]",
            "ignore_index=255 is one of the mask_values 0, 100, 200, 255",
        ),
        ("data.mask_values=[0, 200]", "has the value 100, which is not one of the classes 0, 200"),
        ("data.ignore_index=0", "ignore_index=0 is also the number of a class"),
    ],
)
def test_what_does_not_fit(
    folder: Path, setting: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    result = invoke("train", "squares.toml", "--set", setting, "--set", "train.max_iter=1")
    assert message in " ".join(result.output.split())
