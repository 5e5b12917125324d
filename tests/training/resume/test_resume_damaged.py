"""A run that finds damaged checkpoints goes on from a good one, or stops and says why."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from perceptrain import Callback, Trainer
from perceptrain.errors import CheckpointError

from ...shared import same

MakeTrainer = Callable[..., Trainer]


class Hostile:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def another_format(path: Path) -> None:
    torch.save(torch.load(path, weights_only=False) | {"format": 2}, path)


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(os.urandom(5000)),
    "a bit": flip_a_bit,
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "pickle": lambda path: path.write_bytes(pickle.dumps({"format": 1, "model": Hostile()}, 2)),
    "hostile": lambda path: torch.save({"format": 1, "model": Hostile()}, path),
    "another format": another_format,
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a loop": lambda path: (path.unlink(), path.symlink_to(path)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_one_before_is_used_and_nothing_is_executed(
    make_trainer: MakeTrainer, here: Path, damage: str
) -> None:
    whole = make_trainer(max_iter=3, log_folder="whole")
    whole.fit()
    first = make_trainer(max_iter=2, checkpoint_every=1)
    first.fit()
    newest = first.log_folder / "checkpoint_epoch_000002.pt"
    DAMAGES[damage](newest)
    resumed = make_trainer(max_iter=3)
    with pytest.warns(UserWarning, match=r"000002\.pt .* Trying the one before it"):
        resumed.fit(resume=True)
    assert resumed.history == whole.history
    assert same(resumed.model, whole.model)
    with pytest.raises(CheckpointError, match=r"000002\.pt"):
        make_trainer().fit(resume=newest)
    assert not (here / "executed").exists()


def test_folder_of_the_run_that_becomes_a_file(make_trainer: MakeTrainer, here: Path) -> None:
    """The run stops, and says that nothing could be written."""

    def replace(trainer: Any, config: Any, writer: Any) -> None:
        if trainer.current_epoch == 2:
            Path("runs").rename("elsewhere")
            Path("runs").write_text("")

    trainer = make_trainer(
        max_iter=5, checkpoint_every=1, callbacks=[Callback("train_epoch_end", callback=replace)]
    )
    with pytest.raises(CheckpointError, match=r"000002\.pt could not be written"):
        trainer.fit()
    Path("runs").unlink()
    Path("elsewhere").rename("runs")
    resumed = make_trainer(max_iter=5)
    resumed.fit(resume=True)
    assert resumed.history[:2] == trainer.history
    assert len(resumed.history) == 5


def test_run_that_was_killed_in_its_first_checkpoint_starts_in_the_same_folder(
    make_trainer: MakeTrainer, here: Path
) -> None:
    (here / "runs").mkdir()
    (here / "runs" / f".checkpoint_epoch_000001.pt.{os.getpid()}").write_text("half")
    trainer = make_trainer(checkpoint_every=1)
    trainer.fit()
    assert sorted(path.name for path in (here / "runs").iterdir()) == [
        "checkpoint_epoch_000001.pt",
        "checkpoint_epoch_000002.pt",
    ]
