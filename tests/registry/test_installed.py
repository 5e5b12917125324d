"""Real plugins, built and installed by pip, in a fresh interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import HEAD

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "{version}"

[project.entry-points.perceptrain]
{module} = "{module}"

[tool.hatch.build.targets.wheel]
packages = ["{module}"]
"""

LOSSES = """
def dice(batch, model, *, smooth=1.0):
    return smooth
"""

HOOKS = """
@hookimpl
def perceptrain_losses():
    return [Spec({name!r}, "{module}.losses:dice", "Dice loss.")]
"""

PLUGINS = {
    "perceptrain-healthy": HEAD + HOOKS,
    "perceptrain-twin": HEAD + HOOKS,
    "perceptrain-broken": "import no_such_thing\n",
    "perceptrain-exits": "raise SystemExit(3)\n",
    "perceptrain-misspelt": HEAD + HOOKS.replace("losses():", "lossses():"),
    "perceptrain-claims": HEAD + HOOKS.replace("{name!r}", "'mse'"),
}

SCRIPT = """
import json, sys
from perceptrain_core.registry import get_loss, registry

names = list(registry().losses)
torch = "torch" in sys.modules
loss = get_loss(sys.argv[1], smooth=2.0)
json.dump({
    "names": names,
    "torch": torch,
    "value": loss(None, None),
    "origin": registry().origin(loss).provenance(),
    "plugins": {p.distribution: [p.version, p.status, p.error] for p in registry().plugins},
}, sys.stdout)
"""


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip installed the plugins."""
    projects, target = tmp_path_factory.mktemp("projects"), tmp_path_factory.mktemp("target")
    for number, (name, source) in enumerate(PLUGINS.items()):
        module = name.replace("-", "_")
        package = projects / name / module
        package.mkdir(parents=True)
        text = PYPROJECT.format(name=name, version=f"1.{number}", module=module)
        (projects / name / "pyproject.toml").write_text(text)
        source = source.replace("{name!r}", "'dice'").replace("{module}", module)
        (package / "__init__.py").write_text(source)
        (package / "losses.py").write_text(LOSSES)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    folders = [str(projects / name) for name in PLUGINS]
    subprocess.run([*pip, "install", *options, *folders], check=True)
    return target


def run(target: Path, name: str, **environ: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, name],
        env={**os.environ, "PYTHONPATH": str(target), **environ},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


@pytest.mark.slow
def test_each_plugin_is_judged_for_itself(installed):
    said = run(installed, "perceptrain-healthy/dice")
    assert said["torch"] is False
    assert said["value"] == 2.0
    assert said["origin"] == {
        "name": "perceptrain-healthy/dice",
        "distribution": "perceptrain-healthy",
        "version": "1.0",
    }
    assert {"mse", "perceptrain-claims/mse", "perceptrain-twin/dice"} <= set(said["names"])
    plugins = {name: said["plugins"][name] for name in PLUGINS}
    assert {name: status for name, (_, status, _) in plugins.items()} == {
        "perceptrain-healthy": "ok",
        "perceptrain-twin": "ok",
        "perceptrain-claims": "ok",
        "perceptrain-broken": "failed",
        "perceptrain-exits": "failed",
        "perceptrain-misspelt": "failed",
    }
    assert plugins["perceptrain-exits"] == ["1.3", "failed", "SystemExit: 3 (__init__.py, line 1)"]
    assert "Did you mean 'perceptrain_losses'" in plugins["perceptrain-misspelt"][2]


@pytest.mark.slow
def test_a_selection_makes_the_short_name_free(installed):
    said = run(installed, "dice", PERCEPTRAIN_PLUGINS="perceptrain_twin")
    assert said["origin"]["distribution"] == "perceptrain-twin"
    statuses = {name: said["plugins"][name][1] for name in PLUGINS}
    assert {name for name, status in statuses.items() if status != "blocked"} == {
        "perceptrain-twin"
    }
