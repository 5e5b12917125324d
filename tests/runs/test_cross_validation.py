"""Cross-validation from a run file: figures against loops by hand, and resuming."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from perceptrain import FFNN
from perceptrain_core.data.files.folds import fold_rows
from perceptrain_core.data.files.splits import Splits, split_rows
from perceptrain_core.errors import CheckpointError, ConfigError, DataError
from perceptrain_core.runs.build import build_run
from perceptrain_core.runs.cross_validation import CrossValidation
from perceptrain_core.runs.read import read_run_file

LINE = """
[model]
name = "ffnn"
layers = [2, 4, 1]
[optimizer]
name = "sgd"
lr = 0.1
[data]
file = "line.csv"
inputs = ["a", "b"]
labels = ["y"]
folds = 3
test_fraction = 0.2
standardize = true
[train]
max_iter = 4
batch_size = 100
seed = 5
verbose = false
"""


@pytest.fixture
def table(here: Path) -> torch.Tensor:
    """Twenty rows of a line, in a file: two inputs and a label."""
    inputs = np.random.default_rng(0).normal(3, 2, (20, 2)).round(3)
    rows = np.column_stack([inputs, inputs @ [1, -2]])
    np.savetxt(here / "line.csv", rows, delimiter=",", header="a,b,y", comments="")
    (here / "line.toml").write_text(LINE)
    return torch.tensor(rows, dtype=torch.float32)


def make(*overrides: str, path: str = "line.toml") -> CrossValidation:
    return CrossValidation(read_run_file(Path(path), overrides), Path(path))


def by_hand(table: torch.Tensor, fold: int) -> tuple[float, float]:
    """The loss on the validation and the test rows of a fold."""
    whole = split_rows(Splits((table,)), 0.0, 0.2, 0)
    splits = fold_rows(whole, 3, fold, 0)
    (train,), (val,), (test,) = splits.train, splits.val, splits.test
    mean, std = train[:, :2].mean(0), train[:, :2].std(0, correction=0)
    torch.manual_seed(5)
    model = FFNN([2, 4, 1])

    def loss(rows: torch.Tensor) -> torch.Tensor:
        return (model((rows[:, :2] - mean) / std) - rows[:, 2:]).square().mean()

    for _ in range(4):
        gradients = torch.autograd.grad(loss(train), [*model.parameters()])
        with torch.no_grad():
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter -= 0.1 * gradient
    return loss(val).item(), loss(test).item()


def test_figures_are_those_of_loops_by_hand(table: torch.Tensor, here: Path) -> None:
    folder = make().train()
    assert folder.absolute() == here / "runs" / "line"
    results = json.loads((folder / "folds.json").read_text())
    val, test = zip(*(by_hand(table, fold) for fold in (1, 2, 3)), strict=True)
    assert [row["val_loss"] for row in results["folds"]] == pytest.approx(val, rel=1e-4)
    assert results["mean"]["val_loss"] == pytest.approx(np.mean(val), rel=1e-4)
    assert results["std"]["val_loss"] == pytest.approx(np.std(val, ddof=1), rel=1e-4)
    for fold, loss in enumerate(test, start=1):
        found = json.loads((folder / f"fold_{fold}" / "test.json").read_text())
        assert found["test_loss"] == pytest.approx(loss, rel=1e-4)


def test_the_written_files_run_again(table: torch.Tensor, here: Path) -> None:
    folder = make().train()
    text = (folder / "folds.json").read_text()
    again = make(path=str(folder / "run.toml")).train()
    assert again.name == "run-2"
    assert (again / "folds.json").read_text() == text
    one = folder / "fold_2" / "run.toml"
    assert tomllib.loads(one.read_text())["data"]["fold"] == 2
    run = build_run(read_run_file(one), one)
    run.train()
    assert run.trainer.validate() == json.loads(text)["folds"][1]


def test_a_resume_trains_the_missing_folds_only(table: torch.Tensor, here: Path) -> None:
    options = "train.checkpoint_every=1", "train.shuffle=true", "optimizer=adam"
    whole = make(*options, "train.log_folder=whole").train()

    class Stopped(Exception):
        pass

    def stop(fold: int, run: object) -> None:
        if fold == 2:
            # Half a fold, as a killed run leaves it.
            run.trainer.config.max_iter = 2  # type: ignore[attr-defined]
            run.train()  # type: ignore[attr-defined]
            raise Stopped

    with pytest.raises(Stopped):
        make(*options).train(started=stop)
    trained = []
    validation = make(*options)
    folder = validation.train(resume=True, started=lambda fold, run: trained.append(fold))
    assert trained == [2, 3]
    assert [path.name for path in validation.folders] == ["fold_2", "fold_3"]
    assert (folder / "folds.json").read_text() == (whole / "folds.json").read_text()
    trained.clear()
    longer = make(*options, "train.max_iter=5")
    longer.train(resume=True, started=lambda fold, run: trained.append(fold))
    assert trained == [1, 2, 3]
    rows = (folder / "fold_1" / "metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "1", "2", "3", "4", "5"]


def test_what_cannot_be_resumed(table: torch.Tensor, here: Path) -> None:
    with pytest.raises(CheckpointError, match="no cross-validation to resume in runs"):
        make().train(resume=True)
    make().train()
    with pytest.raises(ConfigError, match=r"other options in \[data\]"):
        make("data.split_seed=1").train(resume=True)
    with pytest.raises(ConfigError, match=r"other options in \[optimizer\]"):
        make("optimizer.lr=0.2").train(resume=True)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.folds=1", "data.folds: .*greater than or equal to 2"),
        ("data.fold=4", "fold = 4 needs folds"),
        ("data.val_fraction=0.2", "set folds or val_fraction, not both"),
    ],
)
def test_faults(table: torch.Tensor, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(override)


def test_a_run_is_one_fold(table: torch.Tensor) -> None:
    with pytest.raises(ConfigError, match=r"\[data\]: A run trains one of the folds") as caught:
        build_run(read_run_file(Path("line.toml")), Path("line.toml"))
    assert isinstance(caught.value.__cause__, DataError)
    with pytest.raises(ConfigError, match="16 rows cannot have fold 1 of 17"):
        make("data.folds=17").train()
