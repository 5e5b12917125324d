"""The ``mlflow`` tracker: metrics, hyperparameters, figures and the model as an MLflow run."""

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
from perceptrain_core.user_warnings import warn_user

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

RUN_ID = "mlflow_run_id"
_NEEDED = ("mlflow", "sqlalchemy", "alembic", "filelock")
_NAME_LIMIT, _VALUE_LIMIT = 250, 6000  # the limits of MLflow for names and param values


class MLflowTracker(Tracker):
    """Log to MLflow: params, metrics by epoch, and figures and weights as artifacts.

    By default, all runs share the store ``mlflow.db``, an SQLite file in ``config.root_folder``,
    and the folder ``mlflow-artifacts`` next to it. View it with ``mlflow ui --backend-store-uri
    sqlite:///runs/mlflow.db``. Set ``MLFLOW_TRACKING_URI`` or call ``mlflow.set_tracking_uri`` to
    use another store. The name of the experiment is ``MLFLOW_EXPERIMENT_NAME``, by default the name
    of the root folder. The run has the name of its folder.

    The MLflow run starts with the first log call. Its id is saved in the file ``mlflow_run_id`` in
    the run folder, so that a resumed run continues it. MLflow never deletes metrics: values logged
    after the checkpoint stay in the history, before the new ones. The run ends as ``FINISHED``, or
    as ``FAILED`` after an error.

    The tracker changes no global state: no run becomes active, and MLflow's settings stay the same.

    Raises:
        MissingDependencyError: MLflow, or a package that its local store needs, is not installed.
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
        """Remember the settings; MLflow is imported at the first log call."""
        self._config = config
        self._status = "FINISHED"

    def fail(self, error: BaseException) -> None:
        """Mark the run as ``FAILED``."""
        self._status = "FAILED"

    def close(self) -> None:
        """End the run."""
        if self._run is not None:
            client, run_id = self._run
            client.set_terminated(run_id, self._status)
        self._run = self._config = None

    def run(self) -> tuple[MlflowClient, str]:
        """Return the MLflow client and the run id, starting the run if necessary.

        Raises:
            TrainingError: The tracker is not open.
        """
        if self._config is None:
            raise TrainingError("The tracker is not open: call open(config) first.")
        if self._run is None:
            root, folder = self._config.root_folder.absolute(), self._config.log_folder.absolute()
            client, experiment = _connect(root)
            run_id = _resume_run(client, folder) or _start_run(client, experiment, root, folder)
            self._run = client, run_id
        return self._run

    def write(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Log each metric, with the epoch as its step."""
        self._log(iteration, metrics)

    def write_step(self, step: int, iteration: int, metrics: Mapping[str, float]) -> None:
        """Log each metric as ``steps/NAME``, with the optimizer step as its step."""
        self._log(step, {f"steps/{name}": value for name, value in metrics.items()})

    def _log(self, step: int, metrics: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        rows = [
            Metric(valid_name(name), float(value), now, step) for name, value in metrics.items()
        ]
        client, run_id = self.run()
        client.log_batch(run_id, metrics=rows, synchronous=True)

    def log_hyperparams(self, hyperparams: Mapping[str, Any]) -> None:
        """Log the hyperparameters as params, nested ones as ``outer.inner``.

        MLflow never changes a param, and long values are truncated. The artifact
        ``hyperparams.json`` has the latest values in full.

        Warns:
            UserWarning: A resumed run has another value than the param in MLflow.
        """
        from mlflow.entities import Param

        client, run_id = self.run()
        known = client.get_run(run_id).data.params
        given = {valid_name(name): value for name, value in flat(hyperparams).items()}
        values = {name: str(value)[:_VALUE_LIMIT] for name, value in given.items()}
        changed = [n for n, value in values.items() if n in known and known[n] != value]
        if changed:
            shown = ", ".join(f"{n} stays {known[n]:.60}, not {values[n]:.60}" for n in changed)
            warn_user(
                f"MLflow cannot change the params of a resumed run: {shown}. The artifact "
                "hyperparams.json has the new values."
            )
        params = [Param(name, value) for name, value in values.items() if name not in known]
        client.log_batch(run_id, params=params, synchronous=True)
        client.log_text(run_id, as_json(hyperparams), "hyperparams.json")

    def plot(self, model: nn.Module, iteration: int, plotting_functions: PlottingFunctions) -> None:
        """Save each figure as the artifact ``figures/NAME_EPOCH.png``."""
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

        MLflow's own format is not used: it pickles the whole model, so loading it runs code and
        needs the source of the model.
        """
        client, run_id = self.run()
        with TemporaryDirectory() as folder:
            path = Path(folder) / "model.pt"
            torch.save(model.state_dict(), path)
            client.log_artifact(run_id, str(path))


def _connect(root: Path) -> tuple[MlflowClient, str]:
    """Connect to the store that the user has set, or to the one in the root folder.

    Returns:
        The client, and the id of the experiment.
    """
    from filelock import FileLock
    from mlflow.tracking import MlflowClient, is_tracking_uri_set

    if is_tracking_uri_set():
        client = MlflowClient()
        return client, _experiment(client, root)
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / "mlflow.db.lock"):  # concurrent runs: only one may create the tables
        client = MlflowClient(f"sqlite:///{root}/mlflow.db")
        return client, _experiment(client, root, (root / "mlflow-artifacts").as_uri())


def _experiment(client: MlflowClient, root: Path, artifacts: str | None = None) -> str:
    """Return the id of the experiment, created if it is missing."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or root.resolve().name
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(name, artifact_location=artifacts))


def _resume_run(client: MlflowClient, folder: Path) -> str | None:
    """Continue the MLflow run of a folder and return its id, or ``None`` if there is none."""
    from mlflow.exceptions import MlflowException

    path = folder / RUN_ID
    if not path.exists():
        return None
    run_id = path.read_text(encoding="utf-8").strip()
    try:
        client.update_run(run_id, status="RUNNING")
    except MlflowException:  # deleted, or in another store
        return None
    return run_id


def _start_run(client: MlflowClient, experiment: str, root: Path, folder: Path) -> str:
    """Start an MLflow run for a folder, and save its id there."""
    inside = folder != root and folder.is_relative_to(root)
    name = folder.relative_to(root).as_posix() if inside else folder.name
    run = client.create_run(experiment, run_name=name, tags={"log_folder": str(folder)})
    run_id = str(run.info.run_id)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RUN_ID).write_text(run_id + "\n", encoding="utf-8")
    return run_id


def valid_name(name: str) -> str:
    """Replace parts of a name that MLflow does not allow, such as brackets and ``..``."""
    name = re.sub(r"[^\w.\- :/]", "_", name)[:_NAME_LIMIT]
    if posixpath.normpath(name) != name or name.startswith(("/", ".")):
        name = ("_" + name.replace("/", "_"))[:_NAME_LIMIT]
    return name
