"""The parts of a fit, from the parameters of an estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from torch import nn

from perceptrain_core.callbacks import EarlyStopping
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import ConfigError
from perceptrain_core.losses.support.outputs import output_size
from perceptrain_core.option_checks import fits
from perceptrain_core.registry import get_loss, get_model, registry

#: Settings of a trainer that are parameters of an estimator.
_OWN = {
    "seed": "random_state",
    "callbacks": "callbacks",
    "max_iter": "max_iter",
    "batch_size": "batch_size",
    "val_every": "early_stopping",
}


def named(value: Any) -> dict[str, Any]:
    """Return a name, a class or a function as a mapping with a name; copy a mapping."""
    return dict(value) if isinstance(value, Mapping) else {"name": value}


def build_loss(loss: Any) -> Any:
    """Build the loss of one fit; an object is copied, so that its own state never changes."""
    return deepcopy(get_loss(loss))


def outputs_for(loss: Any, loss_fn: Any, targets: int) -> int:
    """Return the number of outputs that a loss needs for a number of targets.

    Args:
        loss: The parameter of the estimator.
        loss_fn: The loss that was built from it.
        targets: The number of targets.
    """
    options = named(loss) if isinstance(loss, Mapping) else {}
    options.pop("name", None)
    return output_size(loss_fn, targets, **options)


def build_model(model: Any, hidden: Sequence[int], inputs: int, outputs: int) -> nn.Module:
    """Build the model of one fit.

    Args:
        model: A name or a mapping with a name and options; a module, which is copied; or a function
            ``(inputs, outputs)`` that returns one.
        hidden: The hidden sizes of a model with an option ``layers``.
        inputs: The number of features.
        outputs: The number of outputs that the loss needs.

    Raises:
        ConfigError: The model is none of these.
        RegistryError: A name is unknown, or an option does not fit.
    """
    if isinstance(model, str) or (isinstance(model, Mapping) and "name" in model):
        options = named(model)
        if _has_layers(options["name"]):
            options.setdefault("layers", [inputs, *map(int, hidden), outputs])
        return get_model(options)
    built = deepcopy(model)
    if not isinstance(model, nn.Module) and callable(model) and fits(model, inputs, outputs):
        built = model(inputs, outputs)
    if isinstance(built, nn.Module):
        return built
    raise ConfigError(
        f"model={model!r:.60}: expected a name, a mapping with a name, an nn.Module, or a function "
        "(n_features, n_outputs) that returns an nn.Module."
    )


def build_config(
    train: Mapping[str, Any] | None, stopping: EarlyStopping | None, **own: Any
) -> TrainConfig:
    """Build the settings of one fit, which writes and prints nothing unless told to.

    Args:
        train: Further fields of `TrainConfig`.
        stopping: Stops the training early, by validation after each epoch.
        **own: The fields that are parameters of the estimator, and default values.

    Raises:
        ConfigError: A value is invalid, or ``train`` has a field that is a parameter.
    """
    given = dict(train or {})
    for name in given.keys() & _OWN:
        raise ConfigError(
            f"train has {name!r}, which is the parameter {_OWN[name]} of the estimator: set that."
        )
    callbacks = deepcopy(list(own.pop("callbacks") or []))
    if stopping is not None:
        own["val_every"] = 1
        callbacks.append(stopping)
    return TrainConfig(
        **{"verbose": False, "progress": False, **own, "callbacks": callbacks, **given}
    )


def _has_layers(name: Any) -> bool:
    return isinstance(name, str) and "layers" in registry().entry("model", name).options()
