"""The MLflow tracker, by what is in MLflow's store after whole runs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from perceptrain import TrainConfig, Trainer
from perceptrain.errors import DataError, MissingDependencyError, TrainingError
from perceptrain_core.trackers import MLflowTracker
from perceptrain_core.trackers import mlflow as module
from perceptrain_core.trackers.mlflow import RUN_ID, valid_name

MakeTrainer = Callable[..., Trainer]
pytestmark = [
    pytest.mark.usefixtures("here"),
    # MLflow's own use of SQLAlchemy.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def nobody_is_told() -> Iterator[None]:
    """MLflow reports its use to its makers, unless it is told not to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all tests here: making it takes MLflow seconds."""
    return tmp_path_factory.mktemp("some where") / "Läufe"


@pytest.fixture
def make(make_trainer: MakeTrainer, root: Path, request: pytest.FixtureRequest) -> MakeTrainer:
    """Make a trainer whose run has the name of the test."""

    def make(loss_fn: Any = "mse", **settings: Any) -> Trainer:
        own = {"tracking_tool": "mlflow", "write_every": 1, "log_folder": request.node.name}
        return make_trainer(loss_fn, **({"root_folder": root} | own | settings))

    return make


def client(root: Path) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(f"sqlite:///{root}/mlflow.db")


def runs(root: Path, name: str, experiment: str = "Läufe") -> list[Any]:
    found = client(root).get_experiment_by_name(experiment)
    everything = client(root).search_runs([found.experiment_id])
    return [run for run in everything if run.info.run_name == name]


def history(root: Path, run: Any, metric: str) -> list[tuple[int, float]]:
    return [(m.step, m.value) for m in client(root).get_metric_history(run.info.run_id, metric)]


READ = """
import json, sys
from pathlib import Path
from mlflow.tracking import MlflowClient

root, run_id = sys.argv[1:]
client = MlflowClient(f"sqlite:///{root}/mlflow.db")
run = client.get_run(run_id)
names = run.data.metrics
artifacts = [file.path for file in client.list_artifacts(run_id)]
print(json.dumps({
    "metrics": {
        n: [[m.step, m.value] for m in client.get_metric_history(run_id, n)] for n in names
    },
    "params": run.data.params, "tags": run.data.tags, "status": run.info.status,
    "name": run.info.run_name, "experiment": client.get_experiment(run.info.experiment_id).name,
    "artifacts": artifacts + [f.path for f in client.list_artifacts(run_id, "figures")],
    "model": client.download_artifacts(run_id, "model.pt"),
}))
"""


@pytest.mark.slow
def test_another_process_finds_all_of_a_run(
    make: MakeTrainer, root: Path, rows: Any, draw: Any, python: Callable[..., str]
) -> None:
    hyperparams = {
        "lr": 0.1,
        "net": {"layers": [2, 8], "act": {"name": "tanh"}},
        "text": "x" * 9999,
    }
    trainer = make(
        val=rows,
        val_every=2,
        max_iter=4,
        plot_every=2,
        plotting_functions=(draw,),
        hyperparams=hyperparams,
        log_model=True,
        root_folder=root,
        log_folder="all/of it",
    )
    trainer.fit()
    run_id = (trainer.log_folder / RUN_ID).read_text().strip()
    # Python's own warnings are errors there, and SQLAlchemy has one for MLflow.
    found = json.loads(
        python(f"import warnings; warnings.simplefilter('ignore'){READ}", root, run_id)
    )

    assert found["metrics"] == {
        name: [[i, row[name]] for i, row in enumerate(trainer.history, start=1) if name in row]
        for name in ("train_loss", "val_loss")
    }
    assert found["params"] == {
        "lr": "0.1",
        "net.layers": "[2, 8]",
        "net.act.name": "tanh",
        "text": "x" * 6000,
    }
    assert (found["status"], found["name"], found["experiment"]) == (
        "FINISHED",
        "all/of it",
        "Läufe",
    )
    assert found["tags"]["log_folder"] == str(trainer.log_folder)
    assert set(found["artifacts"]) == {
        "figures",
        "figures/line_000002.png",
        "figures/line_000004.png",
        "hyperparams.json",
        "model.pt",
    }
    files = root / "mlflow-artifacts" / run_id / "artifacts"
    assert json.loads((files / "hyperparams.json").read_text()) == hyperparams
    assert (files / "figures/line_000004.png").read_bytes().startswith(b"\x89PNG")
    state = torch.load(found["model"], weights_only=True)
    torch.testing.assert_close(state, trainer.model.state_dict(), rtol=0, atol=0)


GLOBALS = """
import logging, os, sys
import torch
from perceptrain import TrainConfig, Trainer

def state():
    loggers = {name: (logger.level, logger.disabled, len(logger.handlers))
               for name, logger in logging.root.manager.loggerDict.items()
               if isinstance(logger, logging.Logger)}
    loggers.pop("alembic", None)  # MLflow gives it a handler each time that it looks at its tables
    return dict(os.environ), logging.root.level, list(logging.root.handlers), loggers

def fit(tool):
    data = torch.ones(4, 1), torch.ones(4, 1)
    config = TrainConfig(max_iter=2, write_every=1, tracking_tool=tool, verbose=False)
    Trainer(torch.nn.Linear(1, 1), "adam", config).fit(data)

import warnings
warnings.simplefilter("ignore")
import mlflow  # what it does when it is imported is its own business
logging.getLogger("mine")
fit("none")  # so is what torch does
uri, before = mlflow.get_tracking_uri(), state()
fit("mlflow")
after = state()
assert before[:3] == after[:3]
assert {name: after[3][name] for name in before[3]} == before[3]
assert mlflow.active_run() is None and mlflow.get_tracking_uri() == uri
print(*os.listdir(), *sorted(set(os.listdir("runs")) - {"mlflow.db.lock"}))
"""


@pytest.mark.slow
def test_nothing_global_changes(python: Callable[..., str]) -> None:
    assert python(GLOBALS).split() == ["runs", "mlflow.db", RUN_ID]


TOGETHER = """
import sys
import warnings
from pathlib import Path
from perceptrain_core.trackers import MLflowTracker
from perceptrain import TrainConfig

warnings.simplefilter("ignore")
root = Path(sys.argv[1])
tracker = MLflowTracker()
tracker.open(TrainConfig(root_folder=root, log_folder=root / sys.argv[2]))
tracker.write(1, {"train_loss": 0.5})
tracker.close()
"""


@pytest.mark.slow
def test_runs_that_start_together(tmp_path: Path, python: Callable[..., str]) -> None:
    root, names = tmp_path / "new", ["a", "b", "c"]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: python(TOGETHER, root, name), names))
    for name in names:
        (run,) = runs(root, name, experiment="new")
        assert history(root, run, "train_loss") == [(1, 0.5)]


@pytest.mark.slow
def test_resumed_run_goes_on(make: MakeTrainer, root: Path) -> None:
    first = make(checkpoint_every=1, hyperparams={"lr": 0.1, "wd": 0})
    first.fit()
    again = make(checkpoint_every=1, max_iter=4, hyperparams={"lr": 0.2, "momentum": 0.9})
    with pytest.warns(UserWarning, match=r"params of a resumed run: lr stays 0\.1, not 0\.2"):
        again.fit(resume=True)
    again.config.hyperparams = {"net": {2: "b", (1, 2): torch.float32}}
    again.config.max_iter = 5
    again.fit(resume=True)

    (run,) = runs(root, "test_resumed_run_goes_on")
    losses = [row["train_loss"] for row in again.history]
    assert history(root, run, "train_loss") == list(enumerate(losses, start=1))
    assert len(losses) == 5
    assert run.info.status == "FINISHED"
    # MLflow keeps the first value; the file has the last.
    assert run.data.params == {
        "lr": "0.1",
        "wd": "0",
        "momentum": "0.9",
        "net.2": "b",
        "net._1_ 2_": "torch.float32",
    }
    path = root / "mlflow-artifacts" / run.info.run_id / "artifacts/hyperparams.json"
    assert json.loads(path.read_text()) == {"net": {"2": "b", "(1, 2)": "torch.float32"}}


def test_resumed_before_the_first_epoch_is_complete(tmp_path: Path, root: Path) -> None:
    config = TrainConfig(root_folder=root, log_folder=tmp_path)
    ids = []
    for _ in range(2):
        tracker = MLflowTracker()
        tracker.open(config, 0)
        tracker.write(1, {"a": 1.0})
        ids.append(tracker.run()[1])
        tracker.close()
    assert ids[0] == ids[1]


def test_second_run_is_a_run_of_its_own(make: MakeTrainer, root: Path) -> None:
    for _ in range(2):
        make().fit()
    for name in (
        "test_second_run_is_a_run_of_its_own",
        "test_second_run_is_a_run_of_its_own/run-2",
    ):
        (run,) = runs(root, name)
        assert [step for step, _ in history(root, run, "train_loss")] == [1, 2]


def test_run_that_fails_and_is_resumed(make: MakeTrainer, root: Path) -> None:
    def failing(batch: Any, model: nn.Module) -> Any:
        if trainer.current_epoch == 2:
            raise ValueError("a fault of the user's")
        loss = nn.functional.mse_loss(model(batch[0]), batch[1])
        return loss, {}

    trainer = make(failing, checkpoint_every=1)
    with pytest.raises(ValueError, match="a fault of the user's"):
        trainer.fit()
    (run,) = runs(root, "test_run_that_fails_and_is_resumed")
    assert run.info.status == "FAILED"
    assert [step for step, _ in history(root, run, "train_loss")] == [1]

    with pytest.warns(UserWarning, match="loss: failing then, mse_loss now"):
        make(checkpoint_every=1, max_iter=3).fit(resume=True)
    (run,) = runs(root, "test_run_that_fails_and_is_resumed")
    assert run.info.status == "FINISHED"
    assert [step for step, _ in history(root, run, "train_loss")] == [1, 2, 3]


def test_test_after_a_failed_fit_does_not_call_it_finished(
    make: MakeTrainer, root: Path, rows: Any
) -> None:
    trainer = make(test=rows, hyperparams={"lr": 1})
    with pytest.raises(DataError):
        trainer.fit([torch.ones(5, 2)])
    trainer.test()
    (run,) = runs(root, "test_test_after_a_failed_fit_does_not_call_it_finished")
    assert run.info.status == "FAILED"


def test_resumed_run_whose_record_was_deleted(make: MakeTrainer, root: Path) -> None:
    make(checkpoint_every=1).fit()
    (old,) = runs(root, "test_resumed_run_whose_record_was_deleted")
    client(root).delete_run(old.info.run_id)
    trainer = make(checkpoint_every=1, max_iter=3)
    trainer.fit(resume=True)
    (new,) = runs(root, "test_resumed_run_whose_record_was_deleted")
    assert new.info.run_id == (trainer.log_folder / RUN_ID).read_text().strip() != old.info.run_id
    assert [step for step, _ in history(root, new, "train_loss")] == [3]


def test_store_and_experiment_of_the_user(
    make: MakeTrainer, root: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make().fit()  # so that there is a store
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/mlflow.db")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "hers")
    make(root_folder="other", log_folder="a").fit()
    assert [path.name for path in here.rglob("*") if path.is_file()] == [RUN_ID]
    (run,) = runs(root, "a", experiment="hers")
    assert [step for step, _ in history(root, run, "train_loss")] == [1, 2]


@pytest.fixture
def tracker(root: Path, tmp_path: Path) -> Iterator[MLflowTracker]:
    tracker = MLflowTracker()
    tracker.open(TrainConfig(root_folder=root, log_folder=tmp_path / "by itself"))
    yield tracker
    tracker.close()


def test_any_number_and_any_name(tracker: MLflowTracker, root: Path) -> None:
    odd = {"nan": math.nan, "up": math.inf, "down": -math.inf, "x[0]*": 1.0, "../a": 2.0, "": 3.0}
    many = {f"grad_net.{number}.weight": float(number) for number in range(1100)}
    for _ in range(2):  # as on batch stages, where an epoch has many
        tracker.write(1, odd | many | {"tensor": torch.tensor(0.5)})  # type: ignore[dict-item]
    found = client(root).get_run(tracker.run()[1]).data.metrics
    assert math.isnan(found.pop("nan"))
    assert found.pop("up") > 1e300
    assert found.pop("down") < -1e300
    assert found == {"x_0__": 1.0, "_.._a": 2.0, "_": 3.0, "tensor": 0.5} | many


def test_many_settings(tracker: MLflowTracker, root: Path) -> None:
    settings = {f"s{number}": number for number in range(250)} | {"empty": {}, "none": None}
    tracker.log_hyperparams(settings)
    tracker.log_hyperparams({})
    found = client(root).get_run(tracker.run()[1]).data.params
    assert found == {name: str(value) for name, value in settings.items()}


@settings(max_examples=40)
@given(st.text(alphabet="ab/.:[é- \n", max_size=12) | st.text(max_size=300))
def test_names_are_those_that_mlflow_takes(name: str) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.utils.validation import _validate_param_name

    given_is_good = True
    try:
        _validate_param_name(name)
    except MlflowException:
        given_is_good = False
    # It lets a line end pass, at the end of a name.
    if given_is_good and len(name) <= 250 and not name.startswith(".") and "\n" not in name:
        assert valid_name(name) == name
    assert len(valid_name(name)) <= 250
    _validate_param_name(valid_name(name))


@pytest.mark.parametrize("closed", [False, True])
def test_not_open(tmp_path: Path, closed: bool) -> None:
    tracker = MLflowTracker()
    if closed:
        tracker.open(TrainConfig(log_folder=tmp_path))
        tracker.close()
    with pytest.raises(TrainingError, match=r"not open: call open\(config\) first"):
        tracker.write(1, {"a": 1.0})


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"perceptrain-core\[mlflow\]"):
        MLflowTracker()
