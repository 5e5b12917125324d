"""Every code block of the README and the pages runs, top to bottom, as a reader would type it.

Sybil finds the blocks. A page has a folder and a namespace of its own. A block whose first line is
a comment with a file's name is written there; other Python is run; commands run in a shell, with
packages that the page installs going to a folder of the page's own.

Each call of ``perceptrain`` or ``python`` is a forked process, which has imported torch; the wheel
and the commands have tests in fresh ones. Where training is long, there is less of it.
"""

from __future__ import annotations

import os
import re
import shlex
import struct
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from perceptrain import registry
from perceptrain_core.capture import program

from .forked import ForkServer

ROOT = Path(__file__).parent.parent
# The page about errors has sessions, see test_errors_page.py.
_DOCS = sorted(set((ROOT / "docs").glob("*.md")) - {ROOT / "docs/errors.md"})
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *_DOCS]
LANGUAGES = ("python", "toml", "csv", "bash")

FILE = re.compile(r"# (?P<path>[\w./-]+\.(?:py|toml|csv))\n")
OF_A_CLONE = re.compile(r"pip install \.( +#.*)?$")
EXIT_CODE = re.compile(r"# exit code (\d)$")
# These commands are this very test run, or work on the whole machine; that they exist is checked.
OF_THE_PROJECT = (
    "make ",
    "pip install perceptrain-",
    'pip install "perceptrain-core',
    'pip install ".[',
    "perceptrain demo",  # see cli/test_demo.py
    "python benchmarks/",
    "git ",
    "python -m venv",
    "source ",
    # Launchers of several processes, see engine/test_torchrun.py and test_environment.py.
    "torchrun ",
    "#SBATCH ",
    "srun ",
)
# What is trained or checked less than in a page.
SHORTER = {
    # A written plugin has a test in cli/test_new_plugin.py.
    "authors.md": {
        "pip install ./perceptrain-tail\nperceptrain show loss tail\n": "",
        "perceptrain check-plugin perceptrain-tail\n": "",
        "python -m pytest -q perceptrain-tail\n": "",
        "pytest -q --perceptrain-plugin": "pytest -q -k welsch --perceptrain-plugin",
        'check_loss(get_loss("tempered"), batch, FFNN([2, 8, 1]))\n': "",
        'check_callback(get_callback("norm"))\n': "",
        "python -m build --no-isolation perceptrain-tail-lab\n": "",
    },
    "compare.md": {'--loss "quantile:quantiles=[0.5]" --seeds 2': "", "--trials 3": "--trials 2"},
    "getting_started.md": {"max_iter=60": "max_iter=5", "max_iter=20\n": "max_iter=2\n"},
    "gradient_free.md": {"max_iter=200": "max_iter=40", "max_iter=100": "max_iter=10"},
    "README.md": {
        "train.max_iter=10\n": "train.max_iter=2\n",
        "max_iter=100": "max_iter=3",
        "max_iter=300": "max_iter=20",
    },
    "run_files.md": {
        "train tumours.toml": "train tumours.toml --set train.max_iter=2",
        "max_iter = 20": "max_iter = 2",
        "max_iter=25": "max_iter=3",
        "folds = 3": "folds = 2",
    },
    "scikit_learn.md": {"max_iter=50": "max_iter=10", "max_iter=30,": "max_iter=5,"},
    "second_order.md": {"1000)": "100)", "[200]": "[20]", "240)": "25)"},
    "trained_runs.md": {"max_iter = 20": "max_iter = 5"},
    # Only the last of the runs with 40 epochs has to succeed.
    "tutorial.md": {
        "max_iter=40": "max_iter=5 if network == 'modified_mlp' else 2",
        "max_iter=150": "max_iter=1",
        "range(0, 2000, 10)": "range(0, 100, 10)",
    },
    "weightings.md": {"max_iter=50": "max_iter=20"},
}
TUTORIAL = ROOT / "docs" / "tutorial.md"
# The tests of plugins do in less time what this does.
SLOW = ("authors.md",)
COMMAND = {"perceptrain": ["-m", "perceptrain_core.cli.main"], "python": []}
PICTURE = re.compile(r"!\[[^]]+\]\((pictures/[\w-]+\.png)\)")


class Page:
    """Runs the blocks of one page."""

    def __init__(self, folder: Path, forks: ForkServer) -> None:
        self.folder, self.forks = folder, forks
        self.packages = folder / ".packages"
        self.python = PythonEvaluator()

    def __call__(self, language: str, example: Example) -> None:
        text = str(example.parsed)
        file = FILE.match(text)
        if file:
            self.write(file["path"], text)
        elif language == "bash":
            for line in text.splitlines():
                self.run(line)
        elif language == "python":
            self.python(example)
        else:
            assert "entry-points" in text, f"this block says no file's name:\n{text}"

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # A CSV file has no comments: there, the line with its name is not part of it.
        path.write_text(text.split("\n", 1)[1] if path.suffix == ".csv" else text)

    def run(self, line: str) -> None:
        expected = EXIT_CODE.search(line)
        if line.startswith("make "):
            assert f"\n{line.split()[1]}:" in (ROOT / "Makefile").read_text()
            return
        if not line.strip() or line.startswith(OF_THE_PROJECT) or OF_A_CLONE.match(line):
            return
        installs = line.startswith("pip install ")
        done = self._install(line) if installs else self._fork(line)
        assert done.returncode == int(expected[1] if expected else 0), f"{line}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        if installs:
            sys.path.insert(0, str(self.packages))
            registry(refresh=True)

    def _fork(self, line: str) -> subprocess.CompletedProcess[str]:
        program, *arguments = shlex.split(line, comments=True)
        python = [*COMMAND[program], *arguments]
        return self.forks.run(*python, cwd=self.folder, env=self._environment())

    def _install(self, line: str) -> subprocess.CompletedProcess[str]:
        flags = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
        flags += ["--no-compile", "--target", str(self.packages)]
        return subprocess.run(
            [sys.executable, "-m", *shlex.split(line), *flags],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        commands = str(Path(sys.executable).parent)
        path = os.pathsep.join([commands, os.environ["PATH"]])
        return {**os.environ, "PATH": path, "PYTHONPATH": str(self.packages)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_pictures: None) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    monkeypatch.undo()
    for name in [
        name for name in sys.modules if name.startswith(("perceptrain_robust", "perceptrain_tail"))
    ]:
        del sys.modules[name]
    registry(refresh=True)


def examples(path: Path, page: Page | None) -> list[Example]:
    parsers = [
        CodeBlockParser(language, evaluator=page and partial(page, language))
        for language in LANGUAGES
    ]
    document = Sybil(parsers=[*parsers, SkipParser()], path=str(path.parent)).parse(path)
    document.namespace["missing"] = lambda package: find_spec(package) is None
    return list(document.examples())


def run_page(path: Path, page: Page) -> dict[str, Any]:
    """Run the blocks of a copy, which may train less; return the names of its Python."""
    text = path.read_text()
    for old, new in SHORTER.get(path.name, {}).items():
        assert old in text, f"{path.name} has no {old} that could be made shorter"
        text = text.replace(old, new)
    names: dict[str, Any] = {}
    copy = page.folder / ".page" / path.name
    copy.parent.mkdir()
    copy.write_text(text)
    for example in examples(copy, page):
        example.evaluate()
        names = example.namespace
    for picture in PICTURE.findall(text) if "savefig" in text else ():
        assert size(page.folder / picture) == size(path.parent / picture), picture
    return names


@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(p, marks=pytest.mark.slow) if p.name in SLOW else p
        for p in PAGES
        if p != TUTORIAL
    ],
    ids=lambda path: path.name,
)
def test_every_block_of_a_page_runs(
    path: Path, folder: Path, forks: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page about compiled steps captures them; tests of these compile."""
    if path.name == "compiled_training.md":
        monkeypatch.setattr(program, "_compiled", lambda graph, inputs: graph)
    run_page(path, Page(folder, forks))


def test_the_tutorial_comes_to_what_it_says(folder: Path, forks: ForkServer) -> None:
    """The plain sum fails, and weighted terms succeed, after a few of the steps as well."""
    runs = run_page(TUTORIAL, Page(folder, forks))["runs"]
    assert runs["plain sum"].history[-1]["relative_l2"] > 1
    assert runs["balanced, modified_mlp"].history[-1]["relative_l2"] < 0.9


def size(picture: Path) -> tuple[int, ...]:
    """Width and height of a picture, where a PNG file has them."""
    head = picture.read_bytes()[:24]
    assert head[1:4] == b"PNG"
    return struct.unpack(">II", head[16:])


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_block_is_left_out(path: Path) -> None:
    fences = re.findall(r"^ *```(\w+)$", path.read_text(), flags=re.MULTILINE)
    assert set(fences) <= set(LANGUAGES)
    skips = path.read_text().count("<!-- skip: next if(missing(")
    assert len(fences) + skips == len(examples(path, None))
    assert path.read_text().count("```") == 2 * len(fences)
