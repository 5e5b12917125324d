"""The plugin that ``new-plugin`` writes installs, tests green and passes the check, as it is."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..forked import ForkServer
from .conftest import COMMAND, MAIN, invoke


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_it_installs_and_passes(tmp_path: Path, forks: ForkServer) -> None:
    distribution, loss = "perceptrain-huber", "huber_loss"  # huber is a built-in
    written = forks.run(*MAIN, "new-plugin", "perceptrain_Huber", cwd=tmp_path)
    assert written.returncode == 0, written.stderr
    project, packages = tmp_path / distribution, tmp_path / "packages"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-build-isolation", "--no-compile", "--target", str(packages)]
    installed = run(*pip, *options, str(project), folder=tmp_path)
    assert installed.returncode == 0, installed.stderr

    env = {**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(packages)}
    listed = forks.run(*MAIN, "list-losses", loss, cwd=tmp_path, env=env)
    assert listed.stdout.splitlines()[1].split()[:2] == [loss, distribution]
    checked = forks.run(*MAIN, "check-plugin", distribution, cwd=tmp_path, env=env)
    assert checked.returncode == 0, checked.stdout
    # What the process was forked with cannot be rewritten any more.
    options = ["-q", "-p", "no:cacheprovider", "-W", "error"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    tested = forks.run("-m", "pytest", *options, cwd=project, env=env)
    assert tested.returncode == 0, tested.stdout
    assert "14 passed" in tested.stdout


def test_what_it_writes_is_clean(tmp_path: Path) -> None:
    done = invoke("new-plugin", "very-robust-losses2", "--dir", str(tmp_path))
    root = tmp_path / "perceptrain-very-robust-losses2"
    assert f"Wrote {root}" in done.output
    package = root / "perceptrain_very_robust_losses2"
    assert '"very_robust_losses2",' in (package / "__init__.py").read_text()
    for file in root.rglob("*.py"):
        ast.parse(file.read_text())
        assert "$" not in file.read_text()
    for tool in (["check", "--select=E,F,W,B,UP,RUF"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *tool, "--isolated", "--line-length=100"]
        checked = run(*ruff, str(root), folder=tmp_path)
        assert checked.returncode == 0, checked.stdout
    assert (package / "py.typed").exists()


@pytest.mark.parametrize("name", ["9x", "a b", "-", "", "core", "perceptrain-", "ä"])
def test_what_is_no_name(name: str, tmp_path: Path) -> None:
    done = invoke("new-plugin", "--dir", str(tmp_path), "--", name)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"Error: {name!r} is not a valid plugin name; expected letters and digits" in done.stderr
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "perceptrain-robust").mkdir()
    (tmp_path / "perceptrain-robust" / "mine.txt").write_text("mine")
    done = run(*COMMAND, "new-plugin", "robust", folder=tmp_path)
    assert done.returncode == 2
    assert "perceptrain-robust already exists; nothing was written." in done.stderr
    assert [path.name for path in (tmp_path / "perceptrain-robust").iterdir()] == ["mine.txt"]
