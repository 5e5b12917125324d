"""A run says what it was made with, and a resumed one what has changed since."""

from __future__ import annotations

import tomllib

import pytest
import torch

from .conftest import Site, losses

RUN = """
[model]
name = "ffnn"
layers = [4, 1]
[loss]
name = "shrunk"
[data]
name = "table_of_three:make"
[train]
max_iter = 2
checkpoint_every = 1
log_folder = "."
"""
CODE = """
import torch
def shrunk(batch, model):
    return (model(batch[0]) - batch[1]).abs().mean() / 2, {}
"""
DATA = """
import torch
def make():
    return torch.ones(3, 4), torch.ones(3, 1)
"""


def install(site: Site, version: str, needs: str) -> None:
    """Install a plugin and what it stands on, in place of earlier versions."""
    for folder in site.root.glob("acme*.dist-info"):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    site.plugin("acme-losses", losses("Spec('shrunk', 'acme_code:shrunk')"), version)
    metadata = next(site.root.glob("acme_losses-*.dist-info")) / "METADATA"
    metadata.write_text(metadata.read_text() + "Requires-Dist: acme.engine (>=1)\n")
    engine = site.root / f"acme_engine-{needs}.dist-info"
    engine.mkdir()
    (engine / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: acme-engine\nVersion: {needs}\n"
    )


@pytest.mark.slow
def test_versions_are_recorded_and_changes_told_on_resume(site: Site) -> None:
    (site.root / "acme_code.py").write_text(CODE)
    (site.root / "table_of_three.py").write_text(DATA)
    (site.root / "run.toml").write_text(RUN)
    install(site, "1.0", "5.0")
    first = site.run("train", "run.toml")
    assert first.returncode == 0, first.stderr
    (record,) = site.root.glob("runs/**/run.toml")
    written = tomllib.loads(record.read_text())["provenance"]
    assert written["loss"] == {
        "name": "acme-losses/shrunk",
        "distribution": "acme-losses",
        "version": "1.0",
    }
    versions = written["versions"]
    assert (versions["acme-losses"], versions["acme-engine"]) == ("1.0", "5.0")
    saved = torch.load(next(record.parent.glob("checkpoint_epoch_*.pt")), weights_only=True)
    assert saved["versions"] == versions
    assert saved["provenance"]["loss"]["distribution"] == "acme-losses"

    same = site.run("train", "run.toml", "--resume", "--set", "train.max_iter=3")
    assert same.returncode == 0, same.stderr
    assert "versions" not in same.stderr

    install(site, "1.1", "6.0")
    other = site.run("train", "run.toml", "--resume", "--set", "train.max_iter=4")
    assert other.returncode == 0, other.stderr
    assert "was saved with different versions" in other.stderr
    assert "acme-engine: 5.0 then, 6.0 now; acme-losses: 1.0 then, 1.1 now" in other.stderr
    assert tomllib.loads(record.read_text())["provenance"]["versions"]["acme-losses"] == "1.1"


MODEL = """
from torch import nn
def net(width: int = 2):
    return nn.Sequential(nn.Linear(4, width), nn.Linear(width, 1))
"""
MODELS = """
from perceptrain import Spec, hookimpl
@hookimpl
def perceptrain_models():
    return [Spec("net", "acme_code:net", "A network.")]
"""


@pytest.mark.slow
def test_an_uninstalled_plugin_and_one_of_another_version_are_named(site: Site) -> None:
    (site.root / "acme_code.py").write_text(MODEL)
    (site.root / "table_of_three.py").write_text(DATA)
    run_file = RUN.replace("ffnn", "net").replace("layers = [4, 1]", "width = 3")
    run_file = run_file.replace("shrunk", "mse").replace('log_folder = "."', "")
    (site.root / "own.toml").write_text(run_file)
    site.plugin("acme-kit", MODELS)
    first = site.run("train", "own.toml")
    assert first.returncode == 0, first.stderr
    folder = next(site.root.glob("runs/own*"))
    run = str(folder.relative_to(site.root))

    (site.root / "acme_code.py").write_text(MODEL.replace("width", "size"))
    (metadata,) = site.root.glob("acme_kit*.dist-info")
    metadata = metadata.rename(site.root / "acme_kit-2.0.dist-info")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-kit\nVersion: 2.0\n")
    changed = "This run was trained with other versions: acme-kit 1.0, now 2.0."
    for command in (
        ["train", "own.toml", "--resume"],
        ["train", f"{run}/run.toml"],
        ["test", run, "--trust"],
    ):
        other = site.run(*command)
        assert other.returncode == 2, command
        assert "does not accept the option 'width'" in other.stderr
        assert changed in other.stderr, command
        assert other.stderr.count("trained with") == 1
    assert "trained with" not in site.run("train", "own.toml").stderr

    for file in metadata.iterdir():
        file.unlink()
    metadata.rmdir()
    missing = "'net' came from acme-kit 1.0, which is not installed: pip install acme-kit==1.0."
    for command in (["train", "own.toml", "--resume"], ["test", run, "--trust"]):
        other = site.run(*command, PERCEPTRAIN_PLUGINS="")
        assert other.returncode == 2, command
        assert f"[model]: {missing}\n" in other.stderr, command
        assert "Did you mean" not in other.stderr
    assert "There is no model 'net'" in site.run("train", "own.toml", PERCEPTRAIN_PLUGINS="").stderr
