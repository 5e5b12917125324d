"""Several trackers at once, by what each leaves on the disk."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from perceptrain import OptimizeResult, TrainConfig, Trainer
from perceptrain.callbacks import get_writer
from perceptrain_core.trackers import CSVTracker, SeveralTrackers, TensorBoardTracker, Tracker

from ..shared import install_plugin

MakeTrainer = Callable[..., Trainer]

pytest.importorskip("tensorboard")
pytestmark = pytest.mark.usefixtures("here")


def events(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_has_all_of_a_resumed_run(make_trainer: MakeTrainer, draw: Any, here: Path) -> None:
    made: list[int] = []

    def counted(model: nn.Module, iteration: int) -> tuple[str, Any]:
        made.append(iteration)
        return draw(model, iteration)

    settings = {
        "tracking_tool": ["csv", "tensorboard"],
        "write_every": 1,
        "plot_every": 2,
        "checkpoint_every": 1,
        "plotting_functions": (counted,),
        "hyperparams": {"lr": 0.1, "net": {"act": "a|b"}},
        "log_model": True,
    }
    make_trainer(**settings).fit()
    trainer = make_trainer(max_iter=4, **settings)
    trainer.fit(resume=True)
    folder = trainer.log_folder

    losses = [row["train_loss"] for row in trainer.history]
    assert [float(row["train_loss"]) for row in rows_of(folder)] == losses
    assert json.loads((folder / "hyperparams.json").read_text()) == settings["hyperparams"]
    assert {path.name for path in folder.glob("*.png")} == {"line_000002.png", "line_000004.png"}
    found = events(folder)
    scalars = {event.step: event.value for event in found.Scalars("train_loss")}
    assert scalars == pytest.approx(dict(enumerate(losses, start=1)))
    assert [image.step for image in found.Images("line")] == [2, 4]
    (text,) = {e.tensor_proto.string_val[0] for e in found.Tensors("hyperparams/text_summary")}
    assert text.decode().splitlines()[2:] == ["| lr | 0.1 |", r"| net.act | a\|b |"]
    state = torch.load(folder / "model.pt", weights_only=True)
    torch.testing.assert_close(state, trainer.model.state_dict(), rtol=0, atol=0)
    assert made == [2, 4]


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["csv", "tensorboard", ["tensorboard", "csv"]])
def test_pictures_do_not_pile_up(make_trainer: MakeTrainer, draw: Any, tool: Any) -> None:
    from matplotlib import pyplot

    open_at_each: list[int] = []

    def watched(model: nn.Module, iteration: int) -> tuple[str, Any]:
        picture = draw(model, iteration)
        open_at_each.append(len(pyplot.get_fignums()))
        return picture

    # matplotlib warns, which is an error here, when it has more than so many.
    with pyplot.rc_context({"figure.max_open_warning": 1}):
        make_trainer(
            max_iter=5, plot_every=1, tracking_tool=tool, plotting_functions=(watched, watched)
        ).fit()
    assert open_at_each == [1] * 10
    assert pyplot.get_fignums() == []


def test_metrics_are_printed_once(
    make_trainer: MakeTrainer, capsys: pytest.CaptureFixture[str]
) -> None:
    tools = ["csv", "tensorboard", "none"]
    make_trainer(print_every=1, verbose=True, progress=False, tracking_tool=tools).fit()
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["1", "2"]


class Reporting(Tracker):
    """Says what it is told, and fails where it is asked to."""

    def __init__(self, name: str, told: list[str], fails: str = "") -> None:
        self.name, self.told, self.fails = name, told, fails

    def _tell(self, what: str) -> None:
        self.told.append(f"{self.name} {what}")
        if self.fails == what:
            raise OSError(f"{self.name} cannot {what}")

    def open(self, config: TrainConfig, iteration: int = 0) -> None:
        self._tell("open")

    def fail(self, error: BaseException) -> None:
        self._tell("fail")

    def close(self) -> None:
        self._tell("close")

    def write(self, iteration: int, metrics: Mapping[str, float]) -> None:
        self._tell("write")

    def print_metrics(self, result: OptimizeResult) -> None:
        self._tell("print")


def test_one_that_cannot_close_does_not_keep_the_others_open() -> None:
    told: list[str] = []
    tracker = SeveralTrackers([Reporting(name, told, "close") for name in "abc"])
    tracker.open(TrainConfig())
    told.clear()
    with pytest.raises(OSError, match="cannot close"):
        tracker.close()
    assert sorted(told) == ["a close", "b close", "c close"]
    told.clear()
    tracker.close()  # for they are closed
    assert told == []


def test_one_that_cannot_be_opened_closes_those_that_are() -> None:
    told: list[str] = []
    kinds = [("a", ""), ("b", "open"), ("c", "")]
    tracker = SeveralTrackers([Reporting(name, told, fails) for name, fails in kinds])
    with pytest.raises(OSError, match="b cannot open"):
        tracker.open(TrainConfig())
    assert told == ["a open", "b open", "a close"]


@pytest.mark.parametrize("fails", ["write", "fail", "close"])
def test_run_that_fails_closes_all(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    from perceptrain_core.training import session

    told: list[str] = []
    trackers = [Reporting("a", told), Reporting("b", told, fails), Reporting("c", told)]
    monkeypatch.setattr(session, "get_writer", lambda tool: SeveralTrackers(trackers))

    def stop(result: OptimizeResult) -> bool:
        raise ValueError("a fault of the user's")

    trainer = make_trainer(write_every=1, trainstop_criterion=stop)
    with pytest.raises((OSError, ValueError)) as caught:
        trainer.fit()
    assert str(caught.value) == f"b cannot {fails}"
    assert sorted(told[-6:]) == sorted(f"{x} {what}" for x in "abc" for what in ("fail", "close"))
    if fails != "write":  # what ended the run is not lost
        assert isinstance(caught.value.__context__, ValueError)


def test_a_run_that_ends_well_has_not_failed(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from perceptrain_core.training import session

    told: list[str] = []
    monkeypatch.setattr(session, "get_writer", lambda tool: Reporting("a", told))
    make_trainer(write_every=1).fit()
    assert told == ["a open", "a write", "a write", "a close"]


def test_names() -> None:
    writer = get_writer(["csv", "tensorboard"])
    assert isinstance(writer, SeveralTrackers)
    assert [type(tracker) for tracker in writer.trackers] == [CSVTracker, TensorBoardTracker]
    assert type(get_writer(["csv"])) is CSVTracker


PLUGIN = """
from perceptrain import Spec, hookimpl

@hookimpl
def perceptrain_trackers():
    yield Spec("lines", "lines_tracker:Lines", "Lines.")
    yield Spec("odd", "lines_tracker:Odd", "Odd.")
"""
TRACKER = """
from pathlib import Path
from perceptrain import Tracker

class Lines(Tracker):
    def __init__(self, name="lines.txt"):
        self.name = name

    def open(self, config, iteration=0):
        config.log_folder.mkdir(parents=True, exist_ok=True)
        self.file = (Path(config.log_folder) / self.name).open("a")

    def write(self, iteration, metrics):
        print(iteration, *metrics, file=self.file)

    def close(self):
        self.file.close()

class Odd:
    def open(self, config, iteration=0):
        raise AssertionError("used")
"""
USE = """
import torch
from perceptrain import TrainConfig, Trainer
from perceptrain.errors import TrainingError

data = torch.ones(4, 1), torch.ones(4, 1)

def fit(tool):
    config = TrainConfig(
        max_iter=2, batch_size=4, write_every=1, hyperparams={"lr": 1},
        log_model=True, print_every=1, progress=False, tracking_tool=tool,
    )
    Trainer(torch.nn.Linear(1, 1), "adam", config).fit(data)

fit(["perceptrain-lines/lines", "csv"])
print(open("runs/lines.txt").read())
for tool in ("odd", ["csv", "odd"]):
    try:
        fit(tool)
    except TrainingError as error:
        print(error)
"""


def test_tracker_of_a_plugin(python: Callable[..., str], here: Path) -> None:
    install_plugin(here, "perceptrain-lines", PLUGIN)
    (here / "lines_tracker.py").write_text(TRACKER)
    printed = python(USE, PERCEPTRAIN_PLUGINS="perceptrain-lines").splitlines()
    assert [line.split()[:2] for line in printed[:2]] == [["epoch", "1"], ["epoch", "2"]]
    assert printed[2:5] == ["1 train_loss", "2 train_loss", ""]
    refusal = "The tracker 'odd' returned Odd; expected an instance of perceptrain.Tracker."
    assert printed[5:] == [refusal, refusal]
    assert [row["epoch"] for row in rows_of(here / "runs")] == ["1", "2"]
    assert (here / "runs/model.pt").exists()


def test_validations_inside_epochs_go_to_each(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Plain(Tracker):
        """One that knows no steps."""

        def write(self, iteration: int, metrics: Mapping[str, float]) -> None:
            seen.append((iteration, dict(metrics)))

    both = SeveralTrackers([CSVTracker(), Plain()])
    both.open(TrainConfig(log_folder=tmp_path))
    both.write_step(30, 2, {"val_loss": 0.5})
    both.close()
    assert seen == [(2, {"step": 30, "val_loss": 0.5})]
    assert (tmp_path / "validations.csv").read_text() == "step,epoch,val_loss\n30,2,0.5\n"
