"""The public face: light, complete, and the same objects as in the core."""

from __future__ import annotations

import ast
import pickle
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import perceptrain
from perceptrain import registry
from perceptrain.kept_paths import KEPT_PATHS

#: What scripts written for the package perceptrain 0.1.0 import, and where.
PRIOR = {
    "perceptrain": (
        "Trainer TrainConfig OptimizeResult DictDataLoader InfiniteTensorDataset to_dataloader "
        "FFNN PINN QNN QuantumModel Model InformationContent load_checkpoint load_model "
        "write_checkpoint get_parameters set_parameters num_parameters numpy_to_tensor promote_to "
        "promote_to_tensor default_optimize_step"
    ),
    "perceptrain.loss": "mse_loss cross_entropy_loss GradWeightedLoss get_loss",
    "perceptrain.loss.loss": "mse_loss cross_entropy_loss GradWeightedLoss get_loss",
    "perceptrain.models": "FFNN PINN QNN QuantumModel Model",
    "perceptrain.data": (
        "to_dataloader DictDataLoader InfiniteTensorDataset R3Dataset GenerativeIterableDataset "
        "OptimizeResult data_to_device"
    ),
    "perceptrain.callbacks": (
        "Callback PrintMetrics WriteMetrics WritePlots LivePlotMetrics LogHyperparameters "
        "LogModelTracker SaveCheckpoint SaveBestCheckpoint LoadCheckpoint EarlyStopping "
        "GradientMonitoring LRSchedulerStepDecay LRSchedulerCyclic LRSchedulerCosineAnnealing "
        "LRSchedulerReduceOnPlateau R3Sampling get_writer"
    ),
    "perceptrain.callbacks.callback": "Callback PrintMetrics SaveCheckpoint EarlyStopping",
    "perceptrain.callbacks.writer_registry": "get_writer",
    "perceptrain.callbacks.saveload": "load_checkpoint write_checkpoint load_model",
    "perceptrain.config": "TrainConfig",
    "perceptrain.trainer": "Trainer",
    "perceptrain.optimize_step": "optimize_step",
    "perceptrain.parameters": "get_parameters set_parameters num_parameters",
    "perceptrain.tensors": "numpy_to_tensor promote_to promote_to_tensor",
    "perceptrain.stages": "TrainingStage",
    "perceptrain.types": "TBatch TData LossFunction ExperimentTrackingTool ExecutionType",
    "perceptrain.optimizers": "AdamLBFGS",
    "perceptrain.optimizers.adam_lbfgs": "AdamLBFGS",
    "perceptrain.information": "InformationContent",
    "perceptrain.information.information_content": "InformationContent",
    "perceptrain.train_utils": "Accelerator",
    "perceptrain.train_utils.accelerator": "Accelerator",
}

#: The public names that those scripts do not know.
ADDED = (
    "__version__ Accelerator Callback check_choice check_range cross_entropy_loss "
    "data_to_device Entry FitResult gather_rows get_callback get_dataset get_loss get_metric "
    "get_model get_optimizer get_tracker get_weighting GradWeightedLoss History hookimpl "
    "is_capturing lazy_exports load_run LossFunction Metric mse_loss output_activation "
    "PerceptrainError Plugin Predictions register_callback register_dataset register_loss "
    "register_metric register_model register_optimizer register_tracker register_weighting "
    "Registry registry SkipBatch Spec supervised TBatch TData Tracker TrainedRun "
    "TrainingStage values_are_checked warn_user WeightedLoss Weighting "
)

#: Public names that need scikit-learn, and are not in ``__all__``.
OPTIONAL = {"PerceptrainClassifier", "PerceptrainRegressor"}

FACE = Path(perceptrain.__file__).parent


def imports(path: Path) -> dict[str, tuple[str, str]]:
    """Return the module and the original name of what a file imports, by its new name."""
    return {
        alias.asname or alias.name: (f"{'.' * node.level}{node.module or ''}", alias.name)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }


STUB = imports(FACE / "__init__.pyi")
MODULES = {
    ".".join(path.relative_to(FACE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in FACE.rglob("*.py")
    if path.stem != "__main__" and path != FACE / "__init__.py"
}


def test_the_face_follows_from_its_stub() -> None:
    public = {name for name, (home, _) in STUB.items() if home != "."}
    assert set(perceptrain.__all__) == public - OPTIONAL
    assert {name: home for name, (home, _) in STUB.items()} == perceptrain._HOMES
    assert all(original == name for name, (_, original) in STUB.items())


def test_a_name_is_the_object_of_its_module() -> None:
    homes = {name: import_module(STUB[name][0]) for name in perceptrain.__all__}
    assert [n for n, home in homes.items() if getattr(perceptrain, n) is not getattr(home, n)] == []


def test_every_submodule_is_an_attribute() -> None:
    there = {name.split(".")[1] for name in MODULES} - {"kept_paths"}
    assert {name for name, (home, _) in STUB.items() if home == "."} == there


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"perceptrain.kept_paths"}))
def test_a_submodule_exports_exactly_what_it_imports(module: str) -> None:
    """Objects of the core under their own names, beside submodules and one alias."""
    found = imports(MODULES[module])
    exported = import_module(module).__all__
    assert len(exported) == len(set(exported))
    submodules = {name for name, (home, _) in found.items() if home.startswith("perceptrain.")}
    assert set(exported) - {"default_optimize_step"} == set(found) - submodules
    for name in set(found) - submodules:
        home, original = found[name]
        assert getattr(import_module(module), name) is getattr(import_module(home), original)


@pytest.mark.parametrize("module", PRIOR)
def test_names_of_the_existing_package(module: str) -> None:
    public = import_module(module).__all__
    assert set(PRIOR[module].split()) <= set(public)


def test_no_public_name_is_lost() -> None:
    assert {*PRIOR["perceptrain"].split(), *ADDED.split()} <= set(perceptrain.__all__)


def test_the_reference_has_every_public_name_once() -> None:
    pages = [page.read_text() for page in sorted((FACE.parent / "docs/reference").glob("*.md"))]
    text = "\n".join(pages)
    generated: Counter[str] = Counter()
    for path, options in re.findall(r"^::: (\S+)((?:\n    .*)*)", text, re.MULTILINE):
        assert path.startswith("perceptrain.")
        exported = getattr(pkgutil.resolve_name(path), "__all__", [path.rpartition(".")[2]])
        generated.update(name for name in exported if f"!^{name}$" not in options)
    assert [name for name, pages in generated.items() if pages > 1] == []
    assert set(perceptrain.__all__) <= {*generated, *re.findall(r"`(\w+)`", text)}
    assert "perceptrain_core" not in text


def test_kept_paths_lead_to_the_names_of_today() -> None:
    for old, new in KEPT_PATHS.items():
        assert "`perceptrain.kept_paths`" in (import_module(old).__doc__ or "")
        for name in set(import_module(old).__all__) - {"optimize_step", "get_loss"}:
            assert getattr(import_module(new), name) is getattr(import_module(old), name)
    marked = {
        name for name, path in MODULES.items() if "see `perceptrain.kept_paths`" in path.read_text()
    }
    assert marked == set(KEPT_PATHS)


def test_every_built_in_loss_is_in_losses() -> None:
    built_in = [registry().losses[name] for name in registry().losses]
    for entry in built_in:
        if entry.distribution == "perceptrain-core":
            target = entry.load()
            assert getattr(import_module("perceptrain.losses"), target.__name__) is target


def test_objects_of_kept_paths_are_pickled_by_where_they_are_defined() -> None:
    step = import_module("perceptrain.optimize_step").optimize_step
    assert pickle.loads(pickle.dumps(step)) is step
    assert b"perceptrain_core" in pickle.dumps(step)


def test_python_m_perceptrain() -> None:
    command = [sys.executable, "-m", "perceptrain", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"perceptrain {perceptrain.__version__}\n"


def test_default_optimize_step_is_the_step() -> None:
    from perceptrain_core.training.steppers.optimize_step import optimize_step

    assert perceptrain.default_optimize_step is optimize_step


def test_optimize_step_stays_a_module() -> None:
    assert isinstance(import_module("perceptrain.optimize_step"), ModuleType)
    assert isinstance(perceptrain.optimize_step, ModuleType)


def test_all_is_sorted_unique_and_resolves() -> None:
    names = perceptrain.__all__
    assert names == sorted(names, key=str.lower)
    assert len(names) == len(set(names))
    assert all(getattr(perceptrain, name) is not None for name in names)


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

# Its modules are there without being imported, as in a package that imports them itself.
NEUTRAL = f"""
import logging, os, sys
import numpy, torch
environment, drawn, modules = dict(os.environ), torch.get_rng_state(), set(sys.modules)
import perceptrain
{chr(10).join(PRIOR)}
perceptrain.losses.l1_loss
for name in perceptrain.__all__:
    getattr(perceptrain, name)
assert len(set(sys.modules) - modules) < 700
assert torch.get_default_dtype() is torch.float32
assert torch.is_grad_enabled() and torch.equal(torch.get_rng_state(), drawn)
assert not logging.root.handlers and logging.root.level == logging.WARNING
assert dict(os.environ) == environment
"""


@pytest.mark.slow
@pytest.mark.parametrize("code", [LIGHT, NEUTRAL], ids=["light", "neutral"])
def test_importing_is_light_and_changes_nothing_global(code: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stdout
    assert not list(tmp_path.iterdir())
