"""The programs in examples/ run, and print what their pages in docs/gallery/ say."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perceptrain import registry

from .forked import ForkServer

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
GALLERY = ROOT / "docs" / "gallery"
PICTURES = ROOT / "docs" / "pictures" / "gallery"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))
#: Arguments of `main` for a short run.
SHORT: dict[str, dict[str, Any]] = {
    "burgers": {"epochs": 1, "number": 50},
    "conflicting_tasks": {"steps": 2},
    "digits": {"epochs": 1},
    "embedding": {"epochs": 1, "copies": 1},
    "gradient_free": {"steps": 20},
    "imbalanced": {"epochs": 1},
    "inverse": {"steps": 2},
    "oscillator": {"epochs": 10},
    "own_loss": {"epochs": 5},
    "point_clouds": {"steps": 2},
    "quantum": {"steps": 2},
    "search": {"trials": 2},
    "segmentation": {"epochs": 1, "number": 20},
    "two_processes": {"epochs": 2, "nprocs": 1},
    "uncertainty": {"epochs": 1},
}
#: Their whole runs take more than a few seconds; `make gallery` does them.
LONG = {
    *("burgers", "conflicting_tasks", "embedding", "gradient_free", "inverse", "oscillator"),
    *("point_clouds", "quantum", "search", "segmentation"),
}
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_pictures: None) -> None:
    """Let an example write into a folder of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the plugin of `own_loss` in a folder, for the time of a test."""
    target, source = str(tmp_path / "packages"), str(EXAMPLES / "perceptrain-cauchy")
    flags = ["--quiet", "--no-deps", "--no-build-isolation", "--no-compile"]
    pip = [sys.executable, "-m", "pip", "install", *flags, "--target", target, source]
    subprocess.run(pip, check=True)
    monkeypatch.syspath_prepend(target)
    registry(refresh=True)
    yield
    monkeypatch.undo()
    for name in ("perceptrain_cauchy", "perceptrain_cauchy.losses"):
        sys.modules.pop(name, None)
    registry(refresh=True)


def run(name: str, capsys: pytest.CaptureFixture[str], **arguments: Any) -> str:
    """Run an example and return what it printed."""
    runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](**arguments)
    assert Path(f"{name}.png").stat().st_size > 1000
    return capsys.readouterr().out


def on_the_page(name: str) -> str:
    return (GALLERY / f"{name}.txt").read_text()


def words(text: str) -> str:
    return NUMBER.sub("#", text)


def numbers(text: str) -> list[float]:
    return [float(number) for number in NUMBER.findall(text)]


@pytest.mark.parametrize(
    "name",
    [name if name in LONG else pytest.param(name, marks=pytest.mark.short) for name in NAMES],
)
def test_a_short_run_prints_the_words_of_the_page(
    name: str, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    if name == "own_loss":
        request.getfixturevalue("plugin")
    assert words(run(name, capsys, **SHORT[name])) == words(on_the_page(name))


@pytest.mark.slow
@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize("name", sorted(set(NAMES) - LONG))
def test_a_whole_run_prints_the_words_and_numbers_of_the_page(
    name: str, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    """Up to what another processor rounds: a third, and a factor of ten for tiny errors."""
    if name == "own_loss":
        request.getfixturevalue("plugin")
    text, page = run(name, capsys), on_the_page(name)
    assert words(text) == words(page)
    for found, said in zip(numbers(text), numbers(page), strict=True):
        if 0 < said < 1e-3:
            assert said / 10 < found < said * 10
        else:
            assert found == pytest.approx(said, rel=1 / 3, abs=0.03)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_an_example_is_short_and_has_a_page_and_a_picture(name: str) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) < 60
    page = (GALLERY / f"{name}.md").read_text()
    assert f'--8<-- "examples/{name}.py"' in page
    assert f'--8<-- "docs/gallery/{name}.txt"' in page
    assert f"(../pictures/gallery/{name}.png)" in page
    assert f"gallery/{name}.md" in (ROOT / "docs" / "gallery.md").read_text()
    assert (PICTURES / f"{name}.png").stat().st_size < 150_000


def test_every_page_has_an_example() -> None:
    for folder in (GALLERY, PICTURES):
        assert {path.stem for path in folder.iterdir()} == set(NAMES)


def test_the_run_file_fits_together(tmp_path: Path, forks: ForkServer) -> None:
    command = ["-m", "perceptrain_core.cli.main", "train", str(EXAMPLES / "digits.toml")]
    done = forks.run(*command, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "train_accuracy" in done.stdout
    assert not list(tmp_path.iterdir())
