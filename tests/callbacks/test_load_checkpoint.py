from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from perceptrain import Callback, Trainer, write_checkpoint
from perceptrain.callbacks import LoadCheckpoint
from perceptrain.errors import CheckpointError

MakeTrainer = Callable[..., Trainer]


def first_weights() -> tuple[Callback, list[Any]]:
    """Note the model and the optimizer as the training starts, after the callbacks before."""
    seen: list[Any] = []

    def note(trainer: Any, config: Any, writer: Any) -> None:
        states = trainer.model.state_dict(), trainer.optimizer.state_dict()["state"]
        seen.extend(torch.utils._pytree.tree_map(torch.clone, states))

    return Callback("train_start", callback=note), seen


def start_of(make_trainer: MakeTrainer, load: Any, **settings: Any) -> tuple[Trainer, list[Any]]:
    note, seen = first_weights()
    trainer = make_trainer(callbacks=[load, note], **settings)
    trainer.fit()
    return trainer, seen


def same(seen: list[Any], trainer: Trainer) -> None:
    torch.testing.assert_close(seen[0], trainer.model.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(seen[1], trainer.optimizer.state_dict()["state"], rtol=0, atol=0)


@pytest.mark.parametrize("load", [LoadCheckpoint(), LoadCheckpoint("train_start", 1), "by name"])
def test_newest_of_the_log_folder(make_trainer: MakeTrainer, load: Any) -> None:
    first = make_trainer(max_iter=3, checkpoint_every=1, log_folder="a")
    first.fit()
    load = "load_checkpoint" if load == "by name" else load
    second, seen = start_of(make_trainer, load, log_folder="a")
    same(seen, first)
    assert second.log_folder == first.log_folder / "run-2"  # a run of its own, from the start
    assert (second.current_epoch, len(second.history)) == (2, 2)


@pytest.mark.parametrize("what", ["file", "folder", "text"])
def test_from_a_path(make_trainer: MakeTrainer, here: Path, what: str) -> None:
    first = make_trainer()
    first.fit()
    path = write_checkpoint(here / "saved", first.model, first.optimizer, 2)
    given = {"file": path, "folder": path.parent, "text": str(path)}[what]
    _, seen = start_of(make_trainer, LoadCheckpoint(path=given))
    same(seen, first)


def test_nothing_there_is_told(make_trainer: MakeTrainer) -> None:
    with pytest.warns(UserWarning, match="Nothing to load: no checkpoint in .*Starting"):
        start_of(make_trainer, LoadCheckpoint())


def test_nothing_at_a_path_is_an_error(make_trainer: MakeTrainer, here: Path) -> None:
    for path in (here / "none.pt", here / "none", here):
        with pytest.raises(CheckpointError, match=r"There (is no checkpoint|are no checkpoints)"):
            start_of(make_trainer, LoadCheckpoint(path=path))


@pytest.mark.parametrize(
    ("hidden", "message"), [(3, "does not fit the model"), (8, "holds no optimizer")]
)
def test_a_checkpoint_that_does_not_fit(
    make_trainer: MakeTrainer, make_net: Any, here: Path, hidden: int, message: str
) -> None:
    path = write_checkpoint(here, make_net(2, hidden, 1), None, 1)
    with pytest.raises(CheckpointError, match=message):
        start_of(make_trainer, LoadCheckpoint(path=path))


def test_a_resumed_run_keeps_its_own_weights(make_trainer: MakeTrainer, make_net: Any) -> None:
    settings = {"max_iter": 3, "checkpoint_every": 1, "seed": 1, "log_folder": "whole"}
    whole = make_trainer(**settings)
    whole.fit()
    settings["log_folder"] = "parts"
    make_trainer(**settings | {"max_iter": 1}).fit()
    other = make_net(2, 8, 1)
    path = write_checkpoint("elsewhere", other, torch.optim.Adam(other.parameters()), 1)
    resumed = make_trainer(**settings, callbacks=[LoadCheckpoint(path=path)])
    resumed.fit(resume=True)
    assert resumed.history == whole.history
