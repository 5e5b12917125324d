"""Metrics, settings, pictures and the model as a run of MLflow."""

from __future__ import annotations

import os
import posixpath
import re
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import MissingDependencyError, TrainingError
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.trackers.figures import PlottingFunctions, figures, picture_file
from perceptrain_core.trackers.settings import as_json, flat
from perceptrain_core.types import Loader

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

RUN_ID = "mlflow_run_id"
_NEEDED = ("mlflow", "sqlalchemy", "alembic", "filelock")
_NAME_LIMIT, _VALUE_LIMIT = 250, 6000  # what MLflow takes as a name, and as the value of a param


class MLflowTracker(Tracker):
    """Report to MLflow: params, metrics by epoch, pictures and the weights as artifacts.

    The store is ``mlflow.db``, an SQLite file in ``config.root_folder``, which all runs below it
    share, with the folder ``mlflow-artifacts`` beside it; ``mlflow ui --backend-store-uri
    sqlite:///runs/mlflow.db`` shows it. ``MLFLOW_TRACKING_URI``, or ``mlflow.set_tracking_uri``,
    names another. The experiment is ``MLFLOW_EXPERIMENT_NAME``, else it has the name of the root
    folder; the run has the name of its folder.

    The run begins with the first thing reported, and its id is kept in the file ``mlflow_run_id``
    of the run's folder, which goes on with it when it is resumed. MLflow deletes no metrics: what
    was written after the checkpoint stays in their history, before what is written again. The run
    ends as ``FINISHED``, or ``FAILED`` after an error.

    No global state is changed: there is no active run, and MLflow's own settings stay.

    Raises:
        MissingDependencyError: MLflow is not installed, or what it needs for a local store.
    """

    def __init__(self) -> None:
        missing = [name for name in _NEEDED if find_spec(name) is None]
        if missing:
            raise MissingDependencyError(
                f"The tracker 'mlflow' needs the package {' and '.join(missing)}: "
                'pip install "perceptrain-core[mlflow]", or choose tracking_tool="csv".'
            )
        self._config: TrainConfig | None = None
        self._status = "FINISHED"
        self._run: tuple[MlflowClient, str] | None = None

    def open(self, config: TrainConfig, iteration: int = 0) -> None:
        """Remember what the run is; MLflow is imported, and told, when there is something."""
        self._config = config
        self._status = "FINISHED"

    def fail(self, error: BaseException) -> None:
        """End the run as failed."""
        self._status = "FAILED"

    def close(self) -> None:
        """End the run."""
        if self._run is not None:
            client, run_id = self._run
            client.set_terminated(run_id, self._status)
        self._run = self._config = None

    def run(self) -> tuple[MlflowClient, str]:
        """Give the client of MLflow and the id of the run, which begins if it has not.

        Raises:
            TrainingError: The tracker is not open.
        """
        if self._config is None:
            raise TrainingError("The tracker is not open: call open(config) first.")
        if self._run is None:
            root, folder = self._config.root_folder.absolute(), self._config.log_folder.absolute()
            client, experiment = _connect(root)
            run_id = _go_on(client, folder) or _begin(client, experiment, root, folder)
            self._run = client, run_id
        return self._run

    def write(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Log each metric, with the epoch as its step."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        rows = [
            Metric(valid_name(name), float(value), now, iteration)
            for name, value in metrics.items()
        ]
        client, run_id = self.run()
        client.log_batch(run_id, metrics=rows, synchronous=True)

    def log_hyperparams(self, hyperparams: Mapping[str, Any]) -> None:
        """Log the settings as params, nested ones under ``outer.inner``.

        MLflow keeps the first value of a param for ever, and cuts long ones: the artifact
        ``hyperparams.json`` has them in full, as they were given last.
        """
        from mlflow.entities import Param

        client, run_id = self.run()
        known = client.get_run(run_id).data.params
        given = {valid_name(name): value for name, value in flat(hyperparams).items()}
        params = [
            Param(name, str(value)[:_VALUE_LIMIT])
            for name, value in given.items()
            if name not in known
        ]
        client.log_batch(run_id, params=params, synchronous=True)
        client.log_text(run_id, as_json(hyperparams), "hyperparams.json")

    def plot(self, model: nn.Module, iteration: int, plotting_functions: PlottingFunctions) -> None:
        """Save each picture as the artifact ``figures/NAME_EPOCH.png``."""
        for name, figure in figures(model, iteration, plotting_functions):
            client, run_id = self.run()
            client.log_figure(run_id, figure, f"figures/{picture_file(name, iteration)}")

    def log_model(
        self,
        model: nn.Module,
        train_dataloader: Loader | None = None,
        val_dataloader: Loader | None = None,
        test_dataloader: Loader | None = None,
    ) -> None:
        """Save the weights, a ``state_dict``, as the artifact ``model.pt``.

        Not in MLflow's own form: that is a pickle of the whole model, which runs code when it is
        loaded, and only where the model's source is.
        """
        client, run_id = self.run()
        with TemporaryDirectory() as folder:
            path = Path(folder) / "model.pt"
            torch.save(model.state_dict(), path)
            client.log_artifact(run_id, str(path))


def _connect(root: Path) -> tuple[MlflowClient, str]:
    """Give a client for the store that the user has set, or for that of the root folder.

    Returns:
        The client, and the id of the experiment.
    """
    from filelock import FileLock
    from mlflow.tracking import MlflowClient, is_tracking_uri_set

    if is_tracking_uri_set():
        client = MlflowClient()
        return client, _experiment(client, root)
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / "mlflow.db.lock"):  # runs may start together, and one makes the tables
        client = MlflowClient(f"sqlite:///{root}/mlflow.db")
        return client, _experiment(client, root, (root / "mlflow-artifacts").as_uri())


def _experiment(client: MlflowClient, root: Path, artifacts: str | None = None) -> str:
    """Give the id of the experiment, which is made if it is missing."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or root.resolve().name
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(name, artifact_location=artifacts))


def _go_on(client: MlflowClient, folder: Path) -> str | None:
    """Let the run of a folder go on, if there is one that can."""
    from mlflow.exceptions import MlflowException

    path = folder / RUN_ID
    if not path.exists():
        return None
    run_id = path.read_text(encoding="utf-8").strip()
    try:
        client.update_run(run_id, status="RUNNING")
    except MlflowException:  # it was deleted, or is in another store
        return None
    return run_id


def _begin(client: MlflowClient, experiment: str, root: Path, folder: Path) -> str:
    """Begin a run for a folder, and leave its id there."""
    inside = folder != root and folder.is_relative_to(root)
    name = folder.relative_to(root).as_posix() if inside else folder.name
    run = client.create_run(experiment, run_name=name, tags={"log_folder": str(folder)})
    run_id = str(run.info.run_id)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RUN_ID).write_text(run_id + "\n", encoding="utf-8")
    return run_id


def valid_name(name: str) -> str:
    """Change a name as little as MLflow needs, which takes no brackets, say, and no ``..``."""
    name = re.sub(r"[^\w.\- :/]", "_", name)[:_NAME_LIMIT]
    if posixpath.normpath(name) != name or name.startswith(("/", ".")):
        name = ("_" + name.replace("/", "_"))[:_NAME_LIMIT]
    return name
