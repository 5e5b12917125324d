"""The wheel: what an installation contains."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parent.parent

USE = """
import perceptrain
assert perceptrain.__file__.startswith(sys.argv[1]), perceptrain.__file__
assert "mse" in perceptrain.registry().losses
from perceptrain_core.cli.new_plugin import write_plugin
write_plugin(Path(sys.argv[1], "new"), "perceptrain-new")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an unpacked wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with ZipFile(path) as file:
        file.extractall(folder / "site")
    return folder / "site"


def test_it_contains_every_file_of_the_packages(wheel: Path) -> None:
    command = ["git", "ls-files", "perceptrain", "perceptrain_core"]
    files = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    missing = [name for name in files.stdout.split() if not (wheel / name).is_file()]
    assert not missing
    assert (wheel / "perceptrain" / "__init__.pyi").is_file()
    assert (wheel / "perceptrain" / "py.typed").is_file()
    folders = {path.name for path in wheel.iterdir() if path.suffix != ".dist-info"}
    assert folders == {"perceptrain", "perceptrain_core"}


def test_its_entry_points(wheel: Path) -> None:
    (path,) = wheel.glob("*.dist-info/entry_points.txt")
    assert path.read_text().split("\n") == [
        "[console_scripts]",
        "perceptrain = perceptrain_core.cli.main:main",
        "",
        "[pytest11]",
        "perceptrain = perceptrain_core.pytest_plugin",
        "",
    ]


def test_it_works_without_the_source_tree(wheel: Path, tmp_path: Path) -> None:
    code = f"import sys\nfrom pathlib import Path\nsys.path.insert(0, sys.argv[1])\n{USE}"
    command = [sys.executable, "-c", code, str(wheel)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (wheel / "new" / "perceptrain_new" / "losses.py").is_file()
