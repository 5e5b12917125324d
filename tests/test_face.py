"""The public face: light, complete, and the same objects as in the core."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import perceptrain

#: Where each public name is found, and which module of the core it comes from.
NOW = {
    "perceptrain": {
        "perceptrain_core.training": "Trainer",
        "perceptrain_core.analysis.information_content": "InformationContent",
        "perceptrain_core.config": "TrainConfig",
        "perceptrain_core.types": "LossFunction OptimizeResult TBatch TData TrainingStage",
        "perceptrain_core.data": (
            "DictDataLoader InfiniteTensorDataset data_to_device to_dataloader"
        ),
        "perceptrain_core.models": (
            "FFNN PINN QNN QuantumModel Model get_parameters set_parameters num_parameters"
        ),
        "perceptrain_core.checkpoints": "load_checkpoint load_model write_checkpoint",
        "perceptrain_core.tensors": "numpy_to_tensor promote_to promote_to_tensor",
        "perceptrain_core.losses": (
            "GradWeightedLoss WeightedLoss cross_entropy_loss mse_loss supervised"
        ),
        "perceptrain_core.callbacks": "Callback",
        "perceptrain_core.trackers": "Tracker",
        "perceptrain_core.errors": "PerceptrainError",
        "perceptrain_core.registry": (
            "Entry Plugin Registry Spec hookimpl lazy_exports registry register_loss "
            "register_model get_callback get_dataset get_loss get_model get_optimizer "
            "get_tracker get_weighting"
        ),
    },
    "perceptrain.loss": {
        "perceptrain_core.losses": "mse_loss cross_entropy_loss GradWeightedLoss",
        "perceptrain_core.registry": "get_loss",
    },
    "perceptrain.loss.loss": {
        "perceptrain_core.losses": "mse_loss cross_entropy_loss GradWeightedLoss",
        "perceptrain_core.registry": "get_loss",
    },
    "perceptrain.models": {"perceptrain_core.models": "FFNN PINN QNN QuantumModel Model"},
    "perceptrain.data": {
        "perceptrain_core.data": (
            "to_dataloader DictDataLoader InfiniteTensorDataset R3Dataset "
            "GenerativeIterableDataset data_to_device"
        ),
        "perceptrain_core.types": "OptimizeResult",
    },
    "perceptrain.callbacks": {
        "perceptrain_core.callbacks": (
            "Callback PrintMetrics WriteMetrics WritePlots SaveCheckpoint SaveBestCheckpoint "
            "LivePlotMetrics LogHyperparameters LogModelTracker LoadCheckpoint EarlyStopping "
            "GradientMonitoring "
            "LRSchedulerStepDecay LRSchedulerCyclic LRSchedulerCosineAnnealing "
            "LRSchedulerReduceOnPlateau get_writer TrainerContext R3Sampling"
        ),
    },
    "perceptrain.callbacks.saveload": {
        "perceptrain_core.checkpoints": "load_checkpoint write_checkpoint load_model",
    },
    "perceptrain.config": {"perceptrain_core.config": "TrainConfig"},
    "perceptrain.trainer": {"perceptrain_core.training": "Trainer"},
    "perceptrain.optimize_step": {"perceptrain_core.optimizers": "optimize_step"},
    "perceptrain.information": {
        "perceptrain_core.analysis.information_content": "InformationContent",
    },
    "perceptrain.optimizers": {
        "perceptrain_core.optimizers": "AdamLBFGS AskTell NevergradOptimizer ask_tell_step"
    },
    "perceptrain.weightings": {"perceptrain_core.weightings": "TermGradients Weighting"},
    "perceptrain.parameters": {
        "perceptrain_core.models": "get_parameters set_parameters num_parameters",
    },
    "perceptrain.tensors": {
        "perceptrain_core.tensors": "numpy_to_tensor promote_to promote_to_tensor",
    },
    "perceptrain.train_utils": {"perceptrain_core.engine": "Accelerator"},
    "perceptrain.stages": {"perceptrain_core.types": "TrainingStage"},
    "perceptrain.types": {
        "perceptrain_core.types": (
            "TBatch TData LossFunction ExperimentTrackingTool ExecutionType"
        ),
    },
}

PATHS = [
    (module, home, name)
    for module, homes in NOW.items()
    for home, names in homes.items()
    for name in names.split()
]


@pytest.mark.parametrize(("module", "home", "name"), PATHS)
def test_name_is_the_object_of_the_core(module: str, home: str, name: str) -> None:
    found = getattr(import_module(module), name)
    if isinstance(found, ModuleType):  # optimize_step is also a module of the face
        found = getattr(found, name)
    assert found is getattr(import_module(home), name)


def test_modules_are_there_without_being_imported_first() -> None:
    """As they would be in a package that imports them itself."""
    code = "\n".join(["import perceptrain", *NOW])
    subprocess.run([sys.executable, "-c", code], check=True)


def test_default_optimize_step_is_the_step() -> None:
    from perceptrain_core.optimizers import optimize_step

    assert perceptrain.default_optimize_step is optimize_step


def test_optimize_step_stays_a_module() -> None:
    assert isinstance(import_module("perceptrain.optimize_step"), ModuleType)
    assert isinstance(perceptrain.optimize_step, ModuleType)


def test_the_table_is_complete() -> None:
    table = {name for names in NOW["perceptrain"].values() for name in names.split()}
    assert table | {"__version__", "default_optimize_step"} == set(perceptrain.__all__)


@pytest.mark.parametrize("module", [m for m in NOW if m != "perceptrain"])
def test_all_of_each_submodule_is_in_the_table(module: str) -> None:
    table = {name for names in NOW[module].values() for name in names.split()}
    assert set(import_module(module).__all__) == table


def test_all_is_sorted_unique_and_resolves() -> None:
    names = perceptrain.__all__
    assert names == sorted(names, key=str.lower)
    assert len(names) == len(set(names))
    assert all(getattr(perceptrain, name) is not None for name in names)


def test_all_agrees_with_what_editors_see() -> None:
    tree = ast.parse(Path(perceptrain.__file__).read_text())
    block = next(
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    seen = {
        alias.asname or alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(seen) == set(perceptrain.__all__)
    homes = {name: home for name, home in seen.items() if name != "default_optimize_step"}
    assert homes == perceptrain._HOME


def test_dir_lists_every_name() -> None:
    assert set(perceptrain.__all__) <= set(dir(perceptrain))


def test_unknown_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'perceptrain' has no attribute 'Trainr'"):
        _ = perceptrain.Trainr
    assert not hasattr(perceptrain, "nothing")


LIGHT = """
import logging, os, random, sys
environment, handlers = dict(os.environ), list(logging.root.handlers)
level, drawn = logging.root.level, random.getstate()
import perceptrain
heavy = {"torch", "numpy", "pydantic", "rich", "pluggy"} & set(sys.modules)
assert not heavy, heavy
assert dict(os.environ) == environment
assert logging.root.handlers == handlers and logging.root.level == level
assert random.getstate() == drawn
"""

NEUTRAL = """
import logging, os, random
import torch
environment, drawn = dict(os.environ), torch.get_rng_state()
import perceptrain
for name in perceptrain.__all__:
    getattr(perceptrain, name)
assert torch.get_default_dtype() is torch.float32
assert torch.is_grad_enabled() and torch.equal(torch.get_rng_state(), drawn)
assert not logging.root.handlers and logging.root.level == logging.WARNING
assert dict(os.environ) == environment
"""


@pytest.mark.parametrize("code", [LIGHT, NEUTRAL], ids=["light", "neutral"])
def test_importing_is_light_and_changes_nothing_global(code: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stdout
    assert not list(tmp_path.iterdir())
