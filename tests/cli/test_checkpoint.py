"""``perceptrain checkpoint``: what is in a checkpoint, and its other form."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from perceptrain import Trainer, __version__, load_model
from perceptrain_core.checkpoints.folder import list_checkpoints
from perceptrain_core.checkpoints.kinds import read_checkpoint
from perceptrain_core.checkpoints.sharded import write_sharded

from ..shared import same
from .conftest import invoke

MakeTrainer = Callable[..., Trainer]


@pytest.fixture
def checkpoint(
    make_trainer: MakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Train two epochs, and return the newest checkpoint."""
    monkeypatch.chdir(tmp_path)

    def train(kind: str, **settings: object) -> Path:
        trainer = make_trainer(
            checkpoint_every=1, checkpoint_format=kind, log_folder=kind, **settings
        )
        trainer.fit()
        return list_checkpoints(trainer.log_folder)[0]

    return train


@pytest.mark.parametrize("kind", ["file", "sharded"])
def test_info_for_people(checkpoint: Callable[..., Path], kind: str) -> None:
    path = checkpoint(kind)
    result = invoke("checkpoint", "info", str(path))
    assert result.exit_code == 0
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines() if line)
    assert lines["path"] == str(path)
    assert lines["kind"].startswith("a folder of 3 files, " if kind == "sharded" else "one file, ")
    assert lines["after"] == "epoch 2, batch 0, step 8"
    assert lines["metrics"].startswith("train_loss 0.")
    assert lines["run"] == "model FFNN, optimizer Adam, loss mse_loss"
    assert lines["saved"] == "by  1 process"
    assert f"perceptrain-core {__version__}" in lines["versions"]
    assert lines["model"] == "4 tensors, 33 values, 132 B"
    assert lines["optimizer"] == "12 tensors, 70 values, 280 B"
    cells = lines["model.network.0.weight"].split("  ")
    expected = ["8 x 2", "float32", "64 B"] + ["1"] * (kind == "sharded")
    assert [cell.strip() for cell in cells if cell] == expected


def test_info_as_json_is_the_same_for_both_kinds(checkpoint: Callable[..., Path]) -> None:
    found = {}
    for kind in ("file", "sharded"):
        path = checkpoint(kind)
        result = invoke("checkpoint", "info", "--json", str(path.parent))
        found[kind] = json.loads(result.stdout)
        state = read_checkpoint(path)
        assert found[kind].pop("path").endswith(str(path))
        assert found[kind].pop("kind") == kind
        files = [*path.iterdir()] if path.is_dir() else [path]
        assert found[kind].pop("files") == len(files)
        assert found[kind].pop("bytes") >= sum(each["bytes"] for each in found[kind]["tensors"])
        del found[kind]["config"]["log_folder"], found[kind]["config"]["checkpoint_format"]
    assert found["file"] == found["sharded"]
    assert found["file"]["metrics"].keys() == state["history"][-1].keys()
    assert found["file"]["model"] == {"tensors": 4, "values": 33, "bytes": 132}
    assert found["file"]["epoch"] == 2


def test_info_of_weights_alone_and_of_what_was_written_by_hand(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(2, 3)}, tmp_path / "model.pt")
    assert (
        "the weights of a model alone"
        in invoke("checkpoint", "info", str(tmp_path / "model.pt")).stdout
    )
    path = write_sharded(tmp_path / "a.dcp", {"epoch": 7, "model": {"weight": torch.ones(2)}})
    text = invoke("checkpoint", "info", str(path)).stdout
    assert "epoch 7\n" in text
    assert "saved by" not in text


def test_conversion_there_and_back(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    path = checkpoint("sharded", ema=0.9)
    file, folder = tmp_path / "one.pt", tmp_path / "back.dcp"
    done = invoke("checkpoint", "convert", str(path), str(file))
    assert done.stdout == f"{file} has the content of {path}\n"
    assert invoke("checkpoint", "convert", str(file), str(folder)).exit_code == 0
    first, second, third = map(read_checkpoint, (path, file, folder))
    assert same(first, second)
    assert same(second, third)
    assert list(first) == list(second) == list(third)


def test_weights_alone_are_those_that_load_model_loads(
    checkpoint: Callable[..., Path], make_net: Callable[..., torch.nn.Module], tmp_path: Path
) -> None:
    path, file = checkpoint("sharded", ema=0.9), tmp_path / "weights.pt"
    assert invoke("checkpoint", "convert", "--weights", str(path), str(file)).exit_code == 0
    weights = torch.load(file, weights_only=True)
    assert same(weights, load_model(path, make_net()).state_dict())


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["info", "missing.dcp"], "There is no checkpoint at 'missing.dcp"),
        (["info", "."], "There are no checkpoints in ."),
        (["convert", "a.dcp", "b"], "b does not end in .pt or .dcp"),
        (["convert", "a.dcp", "b.dcp", "--weights"], "b.dcp does not end in .pt: .pt is one file."),
        (["convert", "a.dcp", "a.dcp"], "a.dcp exists already"),
        (["convert", "missing", "b.pt"], "There are no checkpoints in missing"),
        (["convert", "missing", "b.pt", "--weights"], "There are no checkpoints in missing"),
    ],
)
def test_wrong_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_sharded(Path("a.dcp"), {"epoch": 1, "model": {"weight": torch.ones(2)}})
    result = invoke("checkpoint", *args)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {message}")
