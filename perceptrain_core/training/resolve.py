"""From what a user passes to the trainer to a model, a loss, an optimizer and callbacks."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import LBFGS, Optimizer

from perceptrain_core.callbacks import (
    Callback,
    LivePlotMetrics,
    PrintMetrics,
    SaveBestCheckpoint,
    SaveCheckpoint,
    WriteMetrics,
    WritePlots,
)
from perceptrain_core.config import TrainConfig
from perceptrain_core.engine.distributed import several_processes
from perceptrain_core.engine.meta_model import require_values
from perceptrain_core.errors import CallbackError, DataError, LossContractError, TrainingError
from perceptrain_core.losses import WeightedLoss
from perceptrain_core.losses.supervised import as_loss
from perceptrain_core.optimizer_steps import is_second_order, may_need_residuals, stages_of
from perceptrain_core.optimizers import NevergradOptimizer
from perceptrain_core.optimizers.ask_tell import is_search
from perceptrain_core.optimizers.build import build_optimizer
from perceptrain_core.optimizers.nevergrad.package import is_of_nevergrad
from perceptrain_core.option_checks import number_faults, refuse
from perceptrain_core.parameters import parameters_of
from perceptrain_core.registry import get_callback, get_loss
from perceptrain_core.types import LossFunction
from perceptrain_core.user_warnings import warn_user


def resolve_model(model: Any) -> nn.Module:
    """Check that the model is a module.

    Raises:
        TrainingError: It is a class, or something else, or its parameters have no values.
    """
    if isinstance(model, nn.Module):
        if "_parameters" not in vars(model):
            raise TrainingError(
                f"{type(model).__name__} is not a complete nn.Module: call super().__init__() "
                "first in its __init__."
            )
        if not several_processes():  # of which only the first needs its values
            require_values(model)
        return model
    raise TrainingError(
        f"model must be a torch.nn.Module object, got {describe_argument(model)}."
        f"{_advice_on_model(model)}"
    )


def _advice_on_model(model: Any) -> str:
    if isinstance(model, type) and issubclass(model, nn.Module):
        return f" Pass {model.__name__}(...)."
    if _names_something(model):
        return " Build a model by name with perceptrain.get_model(name, **options)."
    return " Derive the model from nn.Module, and compute its output in forward(self, x)."


def resolve_loss(loss_fn: Any, weighting: Any = None) -> LossFunction:
    """Return the loss for a name, a reference, a mapping, a torch criterion, or a loss.

    Args:
        loss_fn: The loss.
        weighting: Weights the terms of the loss: a `Weighting`, a name or a mapping.

    Raises:
        LossContractError: It cannot be called, or is a class.
        ConfigError: The loss is weighted already.
    """
    loss = as_loss(get_loss(loss_fn) if _names_something(loss_fn) else loss_fn)
    if isinstance(loss, type):
        name = loss.__name__
        raise LossContractError(f"The loss is the class {name}; pass {name}(...), an object.")
    return loss if weighting is None else WeightedLoss(loss, weighting)


def resolve_optimizer(optimizer: Any, model: nn.Module, loss_fn: LossFunction) -> Any:
    """Return the optimizer, to which the parameters of the loss are added.

    Raises:
        TrainingError: It is not an optimizer, an option is NaN, or it has no parameter of this
            model.
    """
    if optimizer is None:
        return None
    if _names_something(optimizer):
        if next(model.parameters(), None) is None:
            raise TrainingError(
                f"{type(model).__name__} has no parameters, so nothing can be trained. Make "
                "trained tensors nn.Parameter, and keep submodules in attributes or "
                "nn.ModuleList, not in a plain list."
            )
        optimizer = build_optimizer(optimizer, model)
    if is_of_nevergrad(optimizer):
        optimizer = NevergradOptimizer(model.parameters(), optimizer)
    _check_options(optimizer)
    owned = _owned_by(optimizer)
    own = list(model.parameters())
    if own and owned.isdisjoint(own):
        raise TrainingError(
            f"The optimizer has none of the parameters of {type(model).__name__}: it was "
            "created for another model. Create it for this one: Adam(model.parameters(), ...)."
        )
    _add_loss_parameters(optimizer, loss_fn, owned)
    return optimizer


def _check_options(optimizer: Any) -> None:
    """Refuse options that are NaN, which torch accepts for some: every parameter would be NaN."""
    for stage in stages_of(optimizer):
        options = (o for group in getattr(stage, "param_groups", ()) for o in group.items())
        for name, value in options:
            if isinstance(value, float) and value != value:
                raise TrainingError(
                    f"The optimizer {type(stage).__name__} has {name}=nan; expected a number."
                )


def check_initialized(
    model: nn.Module, optimizer: Any, config: TrainConfig, processes: int
) -> None:
    """Refuse lazy modules in runs that need the shapes of all parameters before the first batch.

    Raises:
        TrainingError: A parameter has no shape yet.
    """
    needs = {
        "ema": config.ema is not None,
        "training in several processes": max(config.nprocs, processes) > 1,
        "L-BFGS": any(isinstance(stage, LBFGS) for stage in stages_of(optimizer)),
        **{type(stage).__name__: True for stage in stages_of(optimizer) if is_second_order(stage)},
        "a search": is_search(optimizer),
    }
    lazy = [name for name, parameter in model.named_parameters() if is_lazy(parameter)]
    if lazy and any(needs.values()):
        what = next(name for name, needed in needs.items() if needed)
        raise TrainingError(
            f"The parameter {lazy[0]!r} of {type(model).__name__} has no shape before the first "
            f"batch, and {what} needs it earlier: call model(inputs) once before creating the "
            "optimizer and the trainer, or replace the lazy module."
        )


def warn_of_left_out(model: nn.Module, optimizer: Any) -> None:
    """Warn if an optimizer has only some of the parameters of a model that require gradients.

    Warns:
        UserWarning: Some are left out.
    """
    if optimizer is None:
        return
    owned = _owned_by(optimizer)
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    left_out = [name for name, parameter in trainable.items() if parameter not in owned]
    if left_out:
        names = ", ".join(map(repr, left_out[:3])) + (", ..." if len(left_out) > 3 else "")
        warn_user(
            f"The optimizer does not have {len(left_out)} of the {len(trainable)} parameters of "
            f"{type(model).__name__} that require gradients, {names}: they are not trained. Pass "
            "it model.parameters(); or set requires_grad=False on those that are to stay.",
        )


def _owned_by(optimizer: Any) -> set[Tensor]:
    if isinstance(optimizer, Optimizer):
        return set(parameters_of(optimizer))
    if is_search(optimizer):
        return set(optimizer.params)
    raise TrainingError(
        "optimizer must be a torch.optim.Optimizer, e.g. Adam(model.parameters(), lr=1e-3), "
        "a search by ask and tell, e.g. NevergradOptimizer(model.parameters(), ...), or the name "
        f"of one; got {describe_argument(optimizer)}."
    )


def _add_loss_parameters(optimizer: Any, loss_fn: LossFunction, owned: set[Tensor]) -> None:
    if not isinstance(loss_fn, nn.Module):
        return
    missing = [p for p in loss_fn.parameters() if p.requires_grad and p not in owned]
    if missing and isinstance(optimizer, LBFGS):
        raise TrainingError(
            f"{type(loss_fn).__name__} has parameters of its own, and L-BFGS supports only one "
            "group: create it with [*model.parameters(), *loss_fn.parameters()]."
        )
    if missing and may_need_residuals(optimizer):
        raise TrainingError(
            f"{type(loss_fn).__name__} has parameters of its own, and GaussNewton minimizes the "
            "squares of residuals only, for which trained weights and variances would fall to 0 "
            "or rise without limit. Use weights that are not trained, such as the weighting "
            "relobralo or the loss residual_attention, or another optimizer. Coefficients of an "
            "equation are fine: GaussNewton([*model.parameters(), *loss_fn.parameters()])."
        )
    if missing and is_search(optimizer):
        raise TrainingError(
            f"{type(loss_fn).__name__} has parameters of its own, which the search does not have: "
            "create it with all of them, NevergradOptimizer([*model.parameters(), "
            "*loss_fn.parameters()], ...)."
        )
    if missing:
        optimizer.add_param_group({"params": missing})


def resolve_callbacks(config: TrainConfig, made: dict[int, tuple[Any, Callback]]) -> list[Callback]:
    """Return the user's callbacks, then those that the settings ask for, checkpoints last.

    Args:
        config: The settings.
        made: The setting and the callback for each position in ``config.callbacks``, from earlier
            calls. A callback is created from its name only once, so that its state can be read
            after the fit.

    Raises:
        CallbackError: An item is not a callback.
        MissingDependencyError: A package that a callback needs is not installed.
    """
    for number, item in enumerate(config.callbacks):
        if number not in made or made[number][0] is not item:
            made[number] = item, as_callback(item)
    callbacks = [made[number][1] for number in range(len(config.callbacks))]
    if config.print_every:
        callbacks.append(PrintMetrics(called_every=config.print_every))
    if config.write_every:
        callbacks.append(WriteMetrics(called_every=config.write_every))
    if config.plot_every:
        callbacks.append(WritePlots(called_every=config.plot_every))
    if config.live_plot_every:
        callbacks.append(LivePlotMetrics(called_every=config.live_plot_every))
    if config.checkpoint_best_only:
        monitor, mode = config.checkpoint_monitor, config.checkpoint_mode
        callbacks.append(SaveBestCheckpoint(monitor=monitor, mode=mode))
    elif config.checkpoint_every:
        callbacks.append(SaveCheckpoint(called_every=config.checkpoint_every))
    # SaveCheckpoint comes after SaveBestCheckpoint, whose state it saves.
    return sorted(callbacks, key=lambda c: (c.saves_run, isinstance(c, SaveCheckpoint)))


def as_callback(item: Any) -> Callback:
    """Return the callback for a name, a mapping, or a callback itself.

    Raises:
        CallbackError: It is not a callback.
    """
    callback = get_callback(item) if isinstance(item, str | Mapping) else item
    if isinstance(callback, Callback):
        return callback
    if isinstance(callback, type):
        expected = f"an object: pass {callback.__name__}(...), not the class"
    elif callable(callback):
        expected = "a Callback: wrap the function, Callback(on='train_epoch_end', callback=f)"
    else:
        expected = "a Callback, the name of one, or a mapping {'name': ..., **options}"
    raise CallbackError(f"config.callbacks holds {callback!r}; expected {expected}.")


def check_config(config: Any) -> TrainConfig:
    """Check that settings are a `TrainConfig`.

    Raises:
        TrainingError: They are something else.
    """
    if isinstance(config, TrainConfig):
        return config
    raise TrainingError(
        f"config must be a TrainConfig, got {describe_argument(config)}; the order is "
        "Trainer(model, optimizer, config, loss_fn). Create it with TrainConfig(max_iter=..., ...)."
    )


def check_limit(max_batches: int | None) -> int | None:
    """Check the maximum number of batches.

    Raises:
        DataError: It is below 1.
    """
    if max_batches is not None:
        faults = number_faults({"max_batches": max_batches}, whole=True, at_least=1)
        refuse("Trainer", [f"{fault}, or None for all" for fault in faults], DataError)
    return max_batches


def describe_argument(item: Any) -> str:
    """Describe an argument of the wrong type."""
    return f"the class {item.__name__}" if isinstance(item, type) else type(item).__name__


def _names_something(item: Any) -> bool:
    return item is None or isinstance(item, str | Mapping)


def check_resume(resume: object) -> None:
    """Check what a fit resumes from.

    Raises:
        TrainingError: It is neither a bool nor a path.
    """
    if not isinstance(resume, bool | str | PathLike):
        raise TrainingError(
            f"resume={resume!r:.60}: expected True or False, or the path of a checkpoint or a run "
            "folder."
        )
