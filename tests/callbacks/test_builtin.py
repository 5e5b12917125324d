"""The callbacks that settings ask for, in real runs."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from torch import nn

from perceptrain import Callback, Trainer, load_model
from perceptrain.callbacks import SaveBestCheckpoint, SaveCheckpoint
from perceptrain.errors import CallbackError
from perceptrain_core.checkpoints.file import read_file

MakeTrainer = Callable[..., Trainer]


def read_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_print_every(make_trainer: MakeTrainer, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = make_trainer(max_iter=5, print_every=2, verbose=True)
    trainer.fit()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["epoch", "2", "train_loss"],
        ["epoch", "4", "train_loss"],
        ["epoch", "5", "train_loss"],
    ]
    assert float(lines[1].split()[3]) == pytest.approx(trainer.history[3]["train_loss"], rel=1e-3)


def test_write_every(make_trainer: MakeTrainer, rows: Any) -> None:
    trainer = make_trainer(max_iter=4, write_every=2, val=rows, val_every=4)
    trainer.fit()
    found = read_rows(trainer.log_folder)
    assert [row["epoch"] for row in found] == ["2", "4"]
    for row in found:
        wanted = {name: str(v) for name, v in trainer.history[int(row["epoch"]) - 1].items()}
        assert {name: v for name, v in row.items() if v and name != "epoch"} == wanted


@pytest.mark.parametrize(("keep", "left"), [(3, [4, 6, 8]), (1, [8]), (0, [2, 4, 6, 8])])
def test_checkpoint_every_and_rotation(
    make_trainer: MakeTrainer, keep: int, left: list[int]
) -> None:
    trainer = make_trainer(max_iter=9, checkpoint_every=2, keep_checkpoints=keep)
    trainer.fit()
    names = sorted(path.name for path in trainer.log_folder.iterdir())
    assert names == [f"checkpoint_epoch_{epoch:06d}.pt" for epoch in left]
    state = read_file(trainer.log_folder / names[-1])
    assert state["epoch"] == 8
    assert state["history"] == trainer.history[:8]


def best_epoch(trainer: Trainer) -> int:
    path = trainer.log_folder / "checkpoint_best.pt"
    return int(read_file(path)["epoch"])


@pytest.mark.filterwarnings("ignore:The validation of epoch:UserWarning")
@pytest.mark.parametrize(
    ("values", "epsilon", "best"),
    [
        ((3.0, 2.0, 2.5), 1e-5, 2),
        ((3.0, 2.0, 1.9), 0.5, 2),
        ((3.0, 3.0, 3.0), 0.0, 1),
        ((float("nan"), 5.0, float("nan")), 1e-5, 2),
    ],
)
def test_best_only_keeps_the_lowest_validation(
    scripted: MakeTrainer, values: Any, epsilon: float, best: int
) -> None:
    trainer = scripted(*values, val_epsilon=epsilon, checkpoint_best_only=True)
    trainer.fit()
    assert [path.name for path in trainer.log_folder.iterdir()] == ["checkpoint_best.pt"]
    assert best_epoch(trainer) == best


@pytest.mark.filterwarnings("ignore:The validation of epoch:UserWarning")
def test_best_only_says_that_no_validation_was_finite(scripted: MakeTrainer) -> None:
    with pytest.warns(UserWarning, match="saved nothing: no value of 'val_loss' was finite"):
        scripted(float("nan"), float("nan"), checkpoint_best_only=True).fit()


def test_criterion_of_a_user(scripted: MakeTrainer) -> None:
    asked = []

    def higher(val_loss: float, best_loss: float, val_epsilon: float) -> bool:
        asked.append((val_loss, best_loss, val_epsilon))
        return best_loss == float("inf") or val_loss > best_loss

    trainer = scripted(
        *(1.0, 3.0, 2.0),
        max_iter=6,
        val_every=2,
        validation_criterion=higher,
        checkpoint_best_only=True,
    )
    trainer.fit()
    assert asked == [(1.0, float("inf"), 1e-5), (3.0, 1.0, 1e-5), (2.0, 3.0, 1e-5)]
    assert best_epoch(trainer) == 4


def test_best_checkpoint_knows_its_epoch_and_resumes_there(scripted: MakeTrainer) -> None:
    """A best-only checkpoint does not resume at epoch 0."""
    scripted(3.0, 2.0, 4.0, checkpoint_best_only=True).fit()
    trainer = scripted(2.5, 1.0, max_iter=4, checkpoint_best_only=True)
    trainer.fit(resume=True)
    assert [row["val_loss"] for row in trainer.history] == [3.0, 2.0, 2.5, 1.0]
    assert best_epoch(trainer) == 4  # 2.5 was compared with 2.0, of the run before


def test_best_checkpoint_is_a_model_too(scripted: MakeTrainer) -> None:
    trainer = scripted(3.0, 2.0, checkpoint_best_only=True)
    trainer.fit()
    model = load_model(trainer.log_folder / "checkpoint_best.pt", nn.Sequential(trainer.model)[0])
    assert model is trainer.model


def test_best_loss_of_another_run_is_forgotten(scripted: MakeTrainer) -> None:
    best = SaveBestCheckpoint()
    scripted(1.0, callbacks=[best]).fit()
    again = scripted(3.0, 2.0, callbacks=[best])
    again.fit()
    assert (best.best_loss, best_epoch(again)) == (2.0, 2)


def test_checkpoints_come_after_all_other_callbacks(make_trainer: MakeTrainer) -> None:
    """A resumed run starts after its epoch, so the others have to be through with it."""
    seen = []

    def look(trainer: Any, config: Any, writer: Any) -> None:
        seen.extend(config.log_folder.glob("*.pt"))

    save = SaveCheckpoint()
    trainer = make_trainer(max_iter=1, callbacks=[save, Callback(callback=look)], write_every=1)
    trainer.fit()
    assert not seen
    assert trainer.callbacks[-1] is save


def test_the_best_is_saved_at_the_end_of_an_epoch_only() -> None:
    with pytest.raises(CallbackError, match="SaveBestCheckpoint cannot run on 'train_batch_end'"):
        SaveBestCheckpoint(on="train_batch_end")


def test_the_best_at_a_validation_is_saved_at_the_end_of_its_epoch(scripted: MakeTrainer) -> None:
    best = SaveBestCheckpoint("val_epoch_end", 1)
    trainer = scripted(3.0, 2.0, 4.0, callbacks=[best])
    trainer.fit()
    assert (best.best_loss, best_epoch(trainer)) == (2.0, 2)


def test_the_best_is_looked_for_where_a_condition_holds(scripted: MakeTrainer) -> None:
    best = SaveBestCheckpoint(callback_condition=lambda result: result.iteration > 1)
    trainer = scripted(1.0, 3.0, callbacks=[best])
    trainer.fit()
    assert (best.best_loss, best_epoch(trainer)) == (3.0, 2)


def test_pictures_are_expected(make_trainer: MakeTrainer) -> None:
    with pytest.warns(UserWarning, match=r"nothing to plot: .*plotting_functions=\(f,\)"):
        make_trainer(plot_every=1).fit()


def test_pictures_are_made_in_evaluation_mode(make_trainer: MakeTrainer) -> None:
    modes = []

    def picture(model: nn.Module, iteration: int) -> tuple[str, Figure]:
        modes.append(model.training)
        return "nothing", Figure()

    trainer = make_trainer(max_iter=2, plot_every=1, plotting_functions=(picture,))
    trainer.fit()
    assert modes == [False, False]


def test_checkpoints_at_validations_are_saved_at_the_end_of_their_epochs(
    make_trainer: MakeTrainer, rows: Any
) -> None:
    save = SaveCheckpoint(on="val_epoch_end")
    trainer = make_trainer(max_iter=5, val=rows, val_every=2, callbacks=[save])
    trainer.fit()
    names = sorted(path.name for path in trainer.log_folder.glob("*.pt"))
    assert names == ["checkpoint_epoch_000002.pt", "checkpoint_epoch_000004.pt"]
    whole = trainer.history
    resumed = make_trainer(max_iter=5, val=rows, val_every=2, callbacks=[save])
    resumed.fit(resume=True)
    assert resumed.history == whole
