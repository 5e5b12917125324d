"""The command line as real processes, with fake distributions installed for them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from perceptrain_core.cli.main import app

from ..forked import ForkServer
from ..shared import install_plugin

MAIN = ["-m", "perceptrain_core.cli.main"]
COMMAND = [sys.executable, *MAIN]
HEAD = "from perceptrain import Spec, hookimpl\n"


def losses(*specs: str) -> str:
    """The source of a plugin module that offers losses."""
    return f"{HEAD}@hookimpl\ndef perceptrain_losses():\n    return [{', '.join(specs)}]\n"


class Site:
    """A folder of installed distributions, and the command line that sees them."""

    def __init__(self, root: Path, forks: ForkServer) -> None:
        self.root, self.forks = root, forks
        self.names: list[str] = []

    def plugin(self, name: str, source: str, version: str = "1.0") -> None:
        self.names.append(name)
        install_plugin(self.root, name, source, version)

    def environ(self, **extra: str) -> dict[str, str]:
        # Only these: whatever else is installed beside the tests must not matter.
        own = {"PERCEPTRAIN_PLUGINS": ",".join(dict.fromkeys(self.names))}
        return os.environ | own | {"PYTHONPATH": str(self.root), "NO_COLOR": "1"} | extra

    def python(self, code: str, *args: str) -> str:
        command = [sys.executable, "-c", code, *args]
        done = subprocess.run(
            command, env=self.environ(), capture_output=True, text=True, check=True
        )
        return done.stdout

    def forked(self, code: str, *args: str) -> str:
        done = self.forks.run("-c", code, *args, env=self.environ())
        done.check_returncode()
        return done.stdout

    def run(self, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return self.forks.run(*MAIN, *args, cwd=self.root, env=self.environ(**environ))

    def run_fresh(self, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command in an interpreter that has imported nothing."""
        return subprocess.run(
            [*COMMAND, *args],
            env=self.environ(**environ),
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def site(tmp_path: Path, forks: ForkServer) -> Site:
    return Site(tmp_path, forks)


def invoke(*args: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, args)
