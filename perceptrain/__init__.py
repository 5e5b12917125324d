"""Train PyTorch models with the right loss.

One contract for losses, one trainer, and a name for every loss that any installed package offers.
Importing this module imports no torch: each name is fetched from its home when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perceptrain_core.analysis.information_content import InformationContent
    from perceptrain_core.callbacks import Callback
    from perceptrain_core.checkpoints import load_checkpoint, load_model, write_checkpoint
    from perceptrain_core.config import TrainConfig
    from perceptrain_core.data import (
        DictDataLoader,
        InfiniteTensorDataset,
        data_to_device,
        to_dataloader,
    )
    from perceptrain_core.errors import PerceptrainError
    from perceptrain_core.losses import (
        GradWeightedLoss,
        WeightedLoss,
        cross_entropy_loss,
        mse_loss,
        supervised,
    )
    from perceptrain_core.models import (
        FFNN,
        PINN,
        QNN,
        Model,
        QuantumModel,
        get_parameters,
        num_parameters,
        set_parameters,
    )
    from perceptrain_core.registry import (
        Entry,
        Plugin,
        Registry,
        Spec,
        get_callback,
        get_dataset,
        get_loss,
        get_model,
        get_optimizer,
        get_tracker,
        get_weighting,
        hookimpl,
        lazy_exports,
        register_loss,
        register_model,
        registry,
    )
    from perceptrain_core.tensors import numpy_to_tensor, promote_to, promote_to_tensor
    from perceptrain_core.trackers import Tracker
    from perceptrain_core.training.steppers.optimize_step import (
        optimize_step as default_optimize_step,
    )
    from perceptrain_core.training.trainer import Trainer
    from perceptrain_core.types import LossFunction, OptimizeResult, TBatch, TData, TrainingStage
    from perceptrain_core.version import __version__

#: Where each public name lives.
_HOMES = {
    "perceptrain_core.analysis.information_content": ("InformationContent",),
    "perceptrain_core.callbacks": ("Callback",),
    "perceptrain_core.checkpoints": ("load_checkpoint", "load_model", "write_checkpoint"),
    "perceptrain_core.config": ("TrainConfig",),
    "perceptrain_core.data": (
        "DictDataLoader",
        "InfiniteTensorDataset",
        "data_to_device",
        "to_dataloader",
    ),
    "perceptrain_core.errors": ("PerceptrainError",),
    "perceptrain_core.losses": (
        "GradWeightedLoss",
        "WeightedLoss",
        "cross_entropy_loss",
        "mse_loss",
        "supervised",
    ),
    "perceptrain_core.models": (
        "FFNN",
        "Model",
        "PINN",
        "QNN",
        "QuantumModel",
        "get_parameters",
        "num_parameters",
        "set_parameters",
    ),
    "perceptrain_core.registry": (
        "Entry",
        "Plugin",
        "Registry",
        "Spec",
        "get_callback",
        "get_dataset",
        "get_loss",
        "get_model",
        "get_optimizer",
        "get_tracker",
        "get_weighting",
        "hookimpl",
        "lazy_exports",
        "register_loss",
        "register_model",
        "registry",
    ),
    "perceptrain_core.tensors": ("numpy_to_tensor", "promote_to", "promote_to_tensor"),
    "perceptrain_core.trackers": ("Tracker",),
    "perceptrain_core.training.trainer": ("Trainer",),
    "perceptrain_core.types": (
        "LossFunction",
        "OptimizeResult",
        "TBatch",
        "TData",
        "TrainingStage",
    ),
    "perceptrain_core.version": ("__version__",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

#: Modules that are there without being imported first, as they would be in any package.
_SUBMODULES = {
    *("callbacks", "config", "data", "errors", "information", "loss", "models", "optimize_step"),
    *("optimizers", "parameters", "stages", "tensors", "testing", "train_utils", "trainer"),
    *("types", "weightings"),
}

__all__ = [
    "__version__",
    "Callback",
    "cross_entropy_loss",
    "data_to_device",
    "default_optimize_step",
    "DictDataLoader",
    "Entry",
    "FFNN",
    "get_callback",
    "get_dataset",
    "get_loss",
    "get_model",
    "get_optimizer",
    "get_parameters",
    "get_tracker",
    "get_weighting",
    "GradWeightedLoss",
    "hookimpl",
    "InfiniteTensorDataset",
    "InformationContent",
    "lazy_exports",
    "load_checkpoint",
    "load_model",
    "LossFunction",
    "Model",
    "mse_loss",
    "num_parameters",
    "numpy_to_tensor",
    "OptimizeResult",
    "PerceptrainError",
    "PINN",
    "Plugin",
    "promote_to",
    "promote_to_tensor",
    "QNN",
    "QuantumModel",
    "register_loss",
    "register_model",
    "Registry",
    "registry",
    "set_parameters",
    "Spec",
    "supervised",
    "TBatch",
    "TData",
    "to_dataloader",
    "Tracker",
    "TrainConfig",
    "Trainer",
    "TrainingStage",
    "WeightedLoss",
    "write_checkpoint",
]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    if name == "default_optimize_step":  # its own name is that of a module here
        from perceptrain_core.training.steppers.optimize_step import optimize_step as value
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
