"""The curves of a run that goes on: the file, the notebook, and what cannot be drawn."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from perceptrain import TrainConfig, Trainer
from perceptrain.callbacks import LivePlotMetrics
from perceptrain.errors import CallbackError, MissingDependencyError
from perceptrain_core.callbacks import live_plot_metrics

MakeTrainer = Callable[..., Trainer]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[str]]]:
    """For each drawing, the epochs and the names in it."""
    seen: list[tuple[int, list[str]]] = []
    draw = live_plot_metrics.draw_curves

    def draw_and_tell(history: Any, arrange: Any) -> Any:
        figure = draw(history, arrange)
        names = [str(line.get_label()) for axes in figure.axes for line in axes.get_lines()]
        seen.append((len(history), names))
        return figure

    monkeypatch.setattr(live_plot_metrics, "draw_curves", draw_and_tell)
    monkeypatch.setattr(LivePlotMetrics, "PAUSE", 0.0)
    return seen


def test_live_plot_every_writes_a_file(
    make_trainer: MakeTrainer, rows: Any, drawn: list[Any]
) -> None:
    trainer = make_trainer(max_iter=5, live_plot_every=2, val=rows, val_every=4)
    trainer.fit()
    both = ["train_loss", "val_loss"]
    assert drawn == [(2, ["train_loss"]), (4, both), (5, both)]  # the last at the end of the run
    assert [path.name for path in trainer.log_folder.iterdir()] == ["live.png"]
    assert (trainer.log_folder / "live.png").read_bytes().startswith(PNG)


def test_drawing_leaves_time_for_the_run(make_trainer: MakeTrainer, drawn: list[Any]) -> None:
    live = LivePlotMetrics()
    live.PAUSE = 1e6  # type: ignore[misc]
    make_trainer(max_iter=30, callbacks=[live]).fit()
    assert [epochs for epochs, _ in drawn] == [1, 2, 30]


def test_an_object_starts_over_in_another_run(make_trainer: MakeTrainer, drawn: list[Any]) -> None:
    live = LivePlotMetrics(called_every=3)
    for folder in ("a", "b"):
        trainer = make_trainer(max_iter=3, callbacks=[live], log_folder=folder)
        trainer.fit()
        assert (trainer.log_folder / "live.png").exists()
    assert [epochs for epochs, _ in drawn] == [3, 3]


@pytest.mark.slow
@pytest.mark.parametrize("on", ["train_epoch_start", "val_epoch_end", "train_end"])
def test_other_stages(make_trainer: MakeTrainer, rows: Any, on: str) -> None:
    trainer = make_trainer(callbacks=[LivePlotMetrics(on)], val=rows, val_every=1)
    trainer.fit()
    assert (trainer.log_folder / "live.png").exists()


def test_panels_wait_for_a_validation(
    make_trainer: MakeTrainer, rows: Any, drawn: list[Any]
) -> None:
    arrange = {"training": ["train_loss"], "validation": ["val_loss"]}
    live = {"name": "live_plot_metrics", "arrange": arrange}
    make_trainer(max_iter=2, callbacks=[live], val=rows, val_every=2).fit()
    assert drawn == [(1, ["train_loss"]), (2, ["train_loss", "val_loss"])]


def test_a_name_that_the_run_does_not_have_is_told_once(
    make_trainer: MakeTrainer, drawn: list[Any]
) -> None:
    trainer = make_trainer(callbacks=[LivePlotMetrics(arrange={"a": ["train_los", "train_loss"]})])
    message = "cannot draw train_los: the metrics of this run are train_loss. Did you mean"
    with pytest.warns(UserWarning, match=message) as warned:
        trainer.fit()
    assert len(warned) == 1
    assert drawn[-1] == (2, ["train_loss"])


def test_a_validation_that_does_not_come(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(callbacks=[LivePlotMetrics(arrange={"a": ["val_loss"]})])
    with pytest.raises(CallbackError, match="arrange names val_loss, but this run has no valid"):
        trainer.fit()
    assert not trainer.history


@pytest.mark.parametrize(
    ("arrange", "message"),
    [
        ({"a": ["loss"]}, "arrange names 'loss' under 'a', which is not a metric"),
        ({"a": "train_loss"}, r"arrange maps titles to lists of metrics.*'a' has 'train_loss'"),
        ({"a": []}, r"'a' has \[\]"),
        ({"a": [3]}, "names 3 under"),
        (["train_loss"], r"got \['train_loss'\]"),
        ({}, r"got {}"),
    ],
)
def test_what_is_no_arrangement(arrange: Any, message: str) -> None:
    with pytest.raises(CallbackError, match=message):
        LivePlotMetrics(arrange=arrange)


def test_no_batch_stage() -> None:
    with pytest.raises(CallbackError, match="cannot run on 'train_batch_end'"):
        LivePlotMetrics("train_batch_end")


def test_without_matplotlib_the_trainer_is_not_made(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "perceptrain-core\[plot\]"'):
        make_trainer(live_plot_every=1)


def test_a_notebook_shows_it_in_place(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, drawn: list[Any]
) -> None:
    shown: list[tuple[str, bytes]] = []

    class Handle:
        def update(self, data: Any, raw: bool) -> None:
            shown.append(("update", data["image/png"]))

    def display(data: Any, raw: bool, display_id: bool) -> Handle:
        shown.append(("new", data["image/png"]))
        return Handle()

    # The part of IPython that is used; it is no dependency, not even of these tests.
    module = ModuleType("IPython.display")
    module.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(live_plot_metrics, "in_notebook", lambda: True)
    trainer = make_trainer(max_iter=3, live_plot_every=1)
    trainer.fit()
    assert [how for how, _ in shown] == ["new", "update", "update"]
    assert all(png.startswith(PNG) for _, png in shown)
    assert not trainer.log_folder.exists()


def test_a_dry_run_draws_nothing(tmp_path: Path) -> None:
    from perceptrain_core.runs.run import dry_config

    assert dry_config(TrainConfig(live_plot_every=1)).live_plot_every == 0
