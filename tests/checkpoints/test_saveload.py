from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW

from perceptrain import (
    FFNN,
    default_optimize_step,
    load_checkpoint,
    load_model,
    mse_loss,
    write_checkpoint,
)
from perceptrain.errors import CheckpointError, TrainingError
from perceptrain_core.checkpoints.file import write_file

from ..shared import same

Rows = tuple[Tensor, Tensor]
Net = Callable[..., nn.Module]


@pytest.fixture
def trained(rows: Rows, make_net: Net) -> tuple[nn.Module, Adam]:
    model = make_net()
    optimizer = Adam(model.parameters(), lr=0.05)
    for _ in range(3):
        default_optimize_step(model, optimizer, mse_loss, rows)
    return model, optimizer


@pytest.mark.parametrize("as_folder", [True, False])
def test_round_trip(
    tmp_path: Path, trained: tuple[nn.Module, Adam], make_net: Net, as_folder: bool
) -> None:
    path = write_checkpoint(tmp_path / "new", *trained, iteration=7)
    assert path == tmp_path / "new" / "checkpoint_epoch_000007.pt"
    model = make_net()
    optimizer = Adam(model.parameters(), lr=1.0)
    back = load_checkpoint(path.parent if as_folder else str(path), model, optimizer)
    assert back == (model, optimizer, 7)
    assert same(model.state_dict(), trained[0].state_dict())
    assert same(optimizer.state_dict(), trained[1].state_dict())


def test_arguments_in_another_order(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"Expected write_checkpoint\(folder, model, optimizer"):
        write_checkpoint(tmp_path, 3, None, 1)  # type: ignore[arg-type]


def test_model_alone(tmp_path: Path, trained: tuple[nn.Module, Adam], make_net: Net) -> None:
    path = write_checkpoint(tmp_path, trained[0], None, 1)
    model = make_net()
    assert load_model(path, model, device="cpu") is model
    assert same(model.state_dict(), trained[0].state_dict())
    with pytest.raises(CheckpointError, match="holds no optimizer; it holds epoch, format, model"):
        load_checkpoint(path, model, Adam(model.parameters()))


def test_weights_alone(tmp_path: Path, trained: tuple[nn.Module, Adam], make_net: Net) -> None:
    path = tmp_path / "model.pt"
    torch.save(trained[0].state_dict(), path)
    assert same(load_model(path, make_net()).state_dict(), trained[0].state_dict())
    model, _, epoch = load_checkpoint(path, make_net())
    assert same(model.state_dict(), trained[0].state_dict())
    assert epoch == 0
    with pytest.raises(CheckpointError, match="holds no optimizer; it holds model"):
        load_checkpoint(path, *trained)
    with pytest.raises(CheckpointError, match=r"It has model.pt: load_model\('.*model.pt', model"):
        load_model(tmp_path, make_net())
    for other in ({}, {"epoch": 3}, [1]):
        torch.save(other, path)
        with pytest.raises(CheckpointError, match="is not a checkpoint of Perceptrain"):
            load_model(path, make_net())


def test_weights_on_a_scale_of_numpy_can_be_saved(tmp_path: Path, make_net: Net) -> None:
    import numpy as np

    model = make_net()
    optimizer = Adam(model.parameters(), lr=np.logspace(-3, 0, 4)[1])
    write_checkpoint(tmp_path, model, optimizer, 1)
    load_checkpoint(tmp_path, model, optimizer)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda: nn.Linear(2, 1), r"bias: unknown|weight: missing in the checkpoint"),
        (
            lambda: nn.Sequential(nn.Linear(2, 1)),
            r"0\.weight: missing in the checkpoint(.|\n)*network\.0\.bias: unknown to this object",
        ),
    ],
)
def test_other_model(
    tmp_path: Path, trained: tuple[nn.Module, Adam], changed: Any, message: str
) -> None:
    path = write_checkpoint(tmp_path, *trained, 1)
    with pytest.raises(CheckpointError, match=message):
        load_model(path, changed())


def test_changed_model_is_told_the_shapes_and_nothing_is_loaded(
    tmp_path: Path, trained: tuple[nn.Module, Adam], make_net: Net
) -> None:
    path = write_checkpoint(tmp_path, *trained, 1)
    model = make_net(2, 16, 1)
    optimizer = Adam(model.parameters(), lr=0.5)
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(CheckpointError, match="does not fit the model") as caught:
        load_checkpoint(path, model, optimizer)
    assert "network.0.weight: shape (16, 2) here, (8, 2) saved" in str(caught.value)
    assert all(map(torch.equal, before, model.parameters()))
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert not optimizer.state


def test_other_optimizer_changes_nothing(
    tmp_path: Path, trained: tuple[nn.Module, Adam], make_net: Net
) -> None:
    path = write_checkpoint(tmp_path, *trained, 1)
    model = make_net()
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(CheckpointError, match=r"optimizer.*\n  options: dampening, .* betas, "):
        load_checkpoint(path, model, SGD(model.parameters(), lr=0.1))
    few = Adam(list(model.parameters())[:2])
    with pytest.raises(CheckpointError, match=r"parameters in each group: \[2\] here, \[4\] saved"):
        load_checkpoint(path, model, few)
    assert all(map(torch.equal, before, model.parameters()))
    load_checkpoint(path, model, AdamW(model.parameters()))  # the same state


def test_folder_without_checkpoints(tmp_path: Path, make_net: Net) -> None:
    with pytest.raises(CheckpointError, match="There are no checkpoints in"):
        load_model(tmp_path, make_net())
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        load_model(tmp_path / "missing.pt", make_net())


@pytest.mark.parametrize("missing", range(1, 1500, 100))
def test_truncated_newest_falls_back_to_the_one_before(
    tmp_path: Path, trained: tuple[nn.Module, Adam], make_net: Net, missing: int
) -> None:
    write_checkpoint(tmp_path, *trained, 1)
    newest = write_checkpoint(tmp_path, make_net(), None, 2)
    newest.write_bytes(newest.read_bytes()[:-missing])
    model = make_net()
    optimizer = Adam(model.parameters())
    with pytest.warns(UserWarning, match=r"000002\.pt is damaged"):
        _, _, epoch = load_checkpoint(tmp_path, model, optimizer)
    assert epoch == 1
    assert same(model.state_dict(), trained[0].state_dict())
    assert same(optimizer.state_dict(), trained[1].state_dict())


@pytest.mark.parametrize("name", ["empty", "not there", "empty as text"])
def test_a_loop_of_ones_own_starts_without_a_checkpoint(
    tmp_path: Path, trained: tuple[nn.Module, Adam], name: str
) -> None:
    folder = tmp_path / "runs"
    if name != "not there":
        folder.mkdir()
    model, optimizer = trained
    before = [p.clone() for p in model.parameters()], copy.deepcopy(optimizer.state_dict())
    given: Any = str(folder) if name == "empty as text" else folder
    with pytest.warns(UserWarning, match="Nothing to load: no checkpoint in .*runs") as seen:
        found = load_checkpoint(folder=given, model=model, optimizer=optimizer)
    assert seen[0].filename == __file__
    assert found == (model, optimizer, 0)
    assert same(([*model.parameters()], optimizer.state_dict()), before)
    write_checkpoint(folder, model, optimizer, 3)
    assert load_checkpoint(given, model, optimizer)[2] == 3


def test_what_was_named_must_be_there(tmp_path: Path, make_net: Net) -> None:
    with pytest.raises(CheckpointError, match=r"There is no checkpoint at .*none\.pt"):
        load_checkpoint(tmp_path / "none.pt", make_net())
    with pytest.raises(CheckpointError, match="There are no checkpoints in"):
        load_model(tmp_path, make_net())  # a model without its weights is of no use
    (tmp_path / "checkpoint_epoch_000001.pt").write_bytes(b"half")
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(CheckpointError, match="None of the 1 checkpoints"),
    ):
        load_checkpoint(tmp_path, make_net())


def test_checkpoints_of_the_older_package_are_recognized(tmp_path: Path, make_net: Net) -> None:
    model = make_net()
    paths = [tmp_path / f"model_FFNN_ckpt_{number:03}_device_cpu.pt" for number in (2, 10)]
    for path in paths:
        torch.save(("FFNN", model.state_dict()), path)
    (tmp_path / "model_notes.pt").touch()
    load: Callable[..., Any]
    for source in (tmp_path, *paths):
        for load in (load_checkpoint, load_model):
            with pytest.raises(CheckpointError, match=r"perceptrain 0\.1\.0 \(model_FFNN_ckpt"):
                load(source, model)
    write_checkpoint(tmp_path, model, None, 4)
    assert load_checkpoint(tmp_path, model)[2] == 4
    for path in (*paths, tmp_path / "checkpoint_epoch_000004.pt"):
        path.unlink()
    with pytest.warns(UserWarning, match="Nothing to load"):
        load_checkpoint(tmp_path, model)


def test_weights_under_older_names(tmp_path: Path) -> None:
    older = nn.Sequential(nn.Linear(2, 4), nn.GELU(), nn.Linear(4, 1))
    saved = {f"nn.{name}": value for name, value in older.state_dict().items()}
    write_file(tmp_path / "checkpoint_epoch_000003.pt", {"epoch": 3, "model": saved})
    model = FFNN([2, 4, 1], "gelu")
    assert load_checkpoint(tmp_path, model)[2] == 3
    x = torch.randn(5, 2)
    assert torch.equal(model(x), older(x))
    with pytest.raises(CheckpointError, match="does not fit the model"):
        load_checkpoint(tmp_path, FFNN([2, 5, 1], "gelu"))
