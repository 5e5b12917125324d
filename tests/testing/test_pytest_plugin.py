"""The pytest plugin, in a process of pytest's own."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from ..forked import ForkServer

PYTEST = ["-m", "pytest", "-p", "no:cacheprovider"]
PARTS = """
import torch
from perceptrain import Callback

def good(batch, model, *, scale=1.0):
    return scale * (model(batch[0]) - batch[1]).square().mean(), {}

def bare(batch, model):
    return (model(batch[0]) - batch[1]).square().mean()

def images(batch, model):
    assert batch[0].ndim == 4, batch[0].shape
    return model(batch[0]).square().mean(), {}

class Needy:
    def __init__(self, *, power): self.power = power
    def __call__(self, batch, model):
        return (model(batch[0]) - batch[1]).abs().pow(self.power).mean(), {}

class Quiet(Callback):
    def __init__(self): super().__init__("train_epoch_end")
    def run_callback(self, trainer, config, writer): ...

def nothing(): ...
"""


def offer(kind: str, **targets: str) -> str:
    specs = ", ".join(f"Spec({n!r}, 'acme_parts:{t}', 'A part.')" for n, t in targets.items())
    return f"@hookimpl\ndef perceptrain_{kind}():\n    return [{specs}]\n"


@pytest.fixture
def run(site, tmp_path_factory, forks: ForkServer):
    site.module("acme_parts", PARTS)
    folder = tmp_path_factory.mktemp("author")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": str(site.root), "COLUMNS": "200"}
        return forks.run(*PYTEST, *arguments, cwd=folder, env=env)

    run.folder = folder
    return run


@pytest.mark.slow
def test_a_plugin_that_passes(site, run):
    parts = offer("losses", fine="good", picture="images", needy="Needy")
    parts += offer("callbacks", quiet="Quiet") + offer("models", line="torch.nn.Linear")
    site.plugin("acme-good", parts)
    (run.folder / "tests").mkdir()
    (run.folder / "tests" / "perceptrain_cases.py").write_text(
        "import torch\n"
        "def case(kind, name):\n"
        "    if name == 'needy':\n"
        "        return {'options': {'power': 2.0}}\n"
        "    if name == 'picture':\n"
        "        model = torch.nn.Conv2d(1, 1, 1)\n"
        "        return {'batch': (torch.rand(2, 1, 4, 4), None), 'model': model}\n"
        "    return {}\n"
    )
    done = run("-v", "--perceptrain-plugin", "acme-good")
    assert done.returncode == 0, done.stdout
    tests = dict(re.findall(r"^acme-good::(\S+) (\w+)", done.stdout, re.MULTILINE))
    assert tests == {
        "is_loaded": "PASSED",
        "imports_lightly": "PASSED",
        "has_names_of_its_own": "PASSED",
        "has_a_summary_for_each_name": "PASSED",
        "has_targets_that_can_be_imported": "PASSED",
        "has_targets_that_can_be_called": "PASSED",
        "callbacks/quiet::check_callback": "PASSED",
        "losses/fine::check_loss": "PASSED",
        "losses/picture::check_loss": "PASSED",
        "losses/needy::check_loss": "PASSED",
        "models/line::check_build": "SKIPPED",
    }
    assert "The model 'line' requires 'in_features', 'out_features': return" in done.stdout


@pytest.fixture
def bad(site) -> str:
    """The name of a plugin that does not keep the contract."""
    parts = offer("losses", mse="good", bare="bare", picture="images") + offer(
        "models", no="nothing"
    )
    site.plugin("acme-bad", parts)
    return "acme-bad"


def failed_tests(output: str) -> set[str]:
    return set(re.findall(r"^FAILED acme-bad::(\S+)", output, re.MULTILINE))


@pytest.mark.slow
def test_a_plugin_that_fails(bad, run):
    done = run("--perceptrain-plugin", bad, "-k", "not is_loaded")
    assert done.returncode == 1
    assert failed_tests(done.stdout) == {
        "has_names_of_its_own",
        "losses/bare::check_loss",
        "losses/picture::check_loss",
        "models/no::check_build",
    }
    assert (
        "- has names of its own: the name of the loss 'mse' is also in the built-ins" in done.stdout
    )
    assert "The loss 'bare' does not keep the contract.\n- returns (loss, metrics): " in done.stdout
    assert "It was checked on 8 rows with 2 inputs and 1 label. If it needs other data, return" in (
        done.stdout
    )
    assert "The model 'no' is built as NoneType; expected Module." in done.stdout
    assert "Traceback" not in done.stdout
    assert "4 failed, 5 passed" in done.stdout


@pytest.mark.slow
def test_an_unknown_plugin(run):
    done = run("--perceptrain-plugin", "perceptrain-cor")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    message = "No plugin 'perceptrain-cor' is installed. Did you mean 'perceptrain-core'"
    assert message in done.stderr


def test_without_the_option_it_costs_nothing(tmp_path):
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n"
        "def test_imports():\n"
        "    own = {name for name in sys.modules if name.startswith('perceptrain')}\n"
        "    assert own == {'perceptrain_core', 'perceptrain_core.pytest_plugin'}\n"
        "    assert 'torch' not in sys.modules\n"
    )
    command = [sys.executable, *PYTEST, "-q"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
